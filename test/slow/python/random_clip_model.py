"""A Hugging Face CLIPModel of ViT-B/32's shapes with random weights, and its embeddings: random_clip_model.py FOLDER

Writes FOLDER/model (save_pretrained) and FOLDER/cases.safetensors: pixels [n, resolution, resolution, 3] of 0 to 255,
ids [n, context], lengths [n], and the model's image and text embeddings [n, projection] at unit length.
"""
import sys
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

folder = sys.argv[1]
torch.manual_seed(11)
config = CLIPConfig()
vision, text = config.vision_config, config.text_config
assert (vision.hidden_size, vision.num_hidden_layers, vision.patch_size, text.hidden_size, text.num_hidden_layers) == (768, 12, 32, 512, 12)
text.bos_token_id, text.eos_token_id = 49406, 49407
model = CLIPModel(config).eval()
with torch.no_grad():
    # Initial biases are 0 and gains 1, which would hide that one is taken for another.
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
model.save_pretrained(f'{folder}/model')

count, context = 4, text.max_position_embeddings
pixels = torch.randint(0, 256, (count, vision.image_size, vision.image_size, 3))
mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])
std = torch.tensor([0.26862954, 0.26130258, 0.27577711])
values = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
ids = torch.zeros(count, context, dtype=torch.long)
lengths = torch.tensor([2, 9, 40, context])
for row, length in enumerate(lengths.tolist()):
    ids[row, 0] = 49406
    ids[row, 1:length - 1] = torch.randint(300, 49000, (length - 2,))
    ids[row, length - 1] = 49407
with torch.no_grad():
    outputs = model(input_ids=ids, pixel_values=values)
save_file({
    'pixels': pixels.float(), 'ids': ids.float(), 'lengths': lengths.float(),
    'image': outputs.image_embeds.contiguous(), 'text': outputs.text_embeds.contiguous(),
    'loss': torch.nn.functional.cross_entropy(outputs.logits_per_text, torch.arange(count)).reshape(1),
}, f'{folder}/cases.safetensors')
