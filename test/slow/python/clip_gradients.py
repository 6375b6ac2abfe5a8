"""CLIP in plain PyTorch on weights as `pipe` saves them: clip_gradients.py MODEL CASES OUTPUT

MODEL is a model folder. CASES holds patches [batch * patches, 3 * patch²], ids [batch, context] and ends [batch], the end
tokens' rows. OUTPUT gets the embeddings, the loss, and the gradient of each weight under its own name.
"""
import json
import sys
import torch
from torch.nn.functional import cross_entropy, layer_norm, normalize, scaled_dot_product_attention
from safetensors.torch import load_file, save_file

folder, cases, output = sys.argv[1:]
config = json.load(open(f'{folder}/model.json'))
weights = {name: value.requires_grad_() for name, value in load_file(f'{folder}/weights.safetensors').items()}
given = load_file(cases)
batch = given['ends'].numel()


def norm(x, name):
    return layer_norm(x, x.shape[-1:], weights[f'{name}.gain'], weights[f'{name}.bias'], 1e-5)


def linear(x, name):
    return x @ weights[f'{name}.weight'] + weights[f'{name}.bias']


def transformer(x, tower, causal):
    size = config[tower]
    for layer in range(size['layers']):
        name = f'{tower}.block{layer}'
        packed = linear(norm(x, f'{name}.attention.norm'), f'{name}.attention.in')
        q, k, v = (part.unflatten(-1, (size['heads'], -1)).transpose(1, 2) for part in packed.chunk(3, dim=-1))
        mixed = scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
        x = x + linear(mixed, f'{name}.attention.out')
        hidden = linear(norm(x, f'{name}.mlp.norm'), f'{name}.mlp.in')
        x = x + linear(hidden * torch.sigmoid(1.702 * hidden), f'{name}.mlp.out')
    return x


patches = given['patches'].reshape(batch, -1, given['patches'].shape[-1])
image = patches @ weights['image.patch.weight']
image = torch.cat([weights['image.class'].expand(batch, 1, -1), image], dim=1) + weights['image.positions']
image = transformer(norm(image, 'image.before'), 'image', False)
image = normalize(norm(image[:, 0], 'image.after') @ weights['image.projection'], dim=-1)

ids = given['ids'].long().reshape(batch, -1)
text = transformer(weights['text.embedding'][ids] + weights['text.positions'], 'text', True)
text = norm(text.flatten(0, 1)[given['ends'].long()], 'text.after') @ weights['text.projection']
text = normalize(text, dim=-1)

logits = weights['logit_scale'].exp() * image @ text.T
target = torch.arange(batch)
loss = (cross_entropy(logits, target) + cross_entropy(logits.T, target)) / 2
loss.backward()
save_file({
    'out/image': image.detach().contiguous(), 'out/text': text.detach().contiguous(), 'out/loss': loss.detach().reshape(1),
    **{name: weight.grad.contiguous() for name, weight in weights.items()},
}, output)
