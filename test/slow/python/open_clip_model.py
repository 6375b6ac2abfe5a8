"""Whether two folders open as CLIPModel with the same weights and the same settings of towers: open_clip_model.py A B"""
import sys
from transformers import CLIPModel

one, two = (CLIPModel.from_pretrained(folder) for folder in sys.argv[1:])
left, right = one.state_dict(), two.state_dict()
assert left.keys() == right.keys(), left.keys() ^ right.keys()
for name in left:
    assert left[name].equal(right[name]), name
for key in ('num_attention_heads', 'hidden_act', 'layer_norm_eps', 'eos_token_id'):
    assert getattr(one.config.text_config, key) == getattr(two.config.text_config, key), key
print('equal')
