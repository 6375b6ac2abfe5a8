"""PyTorch's side of `npm run bench:train`: the same commands as engine.ts, a JSON line each, answered by a JSON line.

A CLIP as one would write it for PyTorch today: nn modules, scaled_dot_product_attention, fused AdamW, torch.compile on request.
"""
import json
import re
import resource
import sys
import time


def memory(field):
    return int(re.search(rf'^{field}:\s+(\d+) kB$', open('/proc/self/status').read(), re.M)[1]) * 1024


answers = {}
answer = lambda f: answers.setdefault(f.__name__, f)


@answer
def load(command):
    started = time.perf_counter()
    global torch, nn, F
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    torch.set_num_threads(command['threads'])
    if command.get('compiled'):
        import torch._dynamo, torch._inductor.compile_fx  # what torch.compile loads is the library, too
    ms = (time.perf_counter() - started) * 1000
    open('/proc/self/clear_refs', 'w').write('5')
    return {'ms': ms, 'rss': memory('VmRSS'), 'label': f'PyTorch {torch.__version__}', 'threads': torch.get_num_threads()}


def build_model(config, text_only):
    class Block(nn.Module):
        def __init__(self, width, heads, causal):
            super().__init__()
            self.heads, self.causal = heads, causal
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            b, n, d = x.shape
            q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
            x = x + self.out(mixed.transpose(1, 2).reshape(b, n, d))
            hidden = self.up(self.norm2(x))
            return x + self.down(hidden * torch.sigmoid(1.702 * hidden))

    class Tower(nn.Module):
        def __init__(self, size, tokens, causal, embedding):
            super().__init__()
            self.positions = nn.Parameter(torch.empty(tokens, size['width']))
            self.blocks = nn.Sequential(*[Block(size['width'], size['heads'], causal) for _ in range(size['layers'])])
            self.after = nn.LayerNorm(size['width'])
            self.projection = nn.Linear(size['width'], embedding, bias=False)

    class Clip(nn.Module):
        def __init__(self):
            super().__init__()
            image, text, e = config['image'], config['text'], config['embedding']
            if not text_only:
                self.patch = nn.Linear(3 * image['patch'] ** 2, image['width'], bias=False)
                self.cls = nn.Parameter(torch.empty(image['width']))
                self.before = nn.LayerNorm(image['width'])
                self.image = Tower(image, (image['resolution'] // image['patch']) ** 2 + 1, False, e)
            self.tokens = nn.Embedding(text['vocabulary'], text['width'])
            self.text = Tower(text, text['context'], True, e)
            self.logit_scale = nn.Parameter(torch.empty(()))

        def forward(self, patches, ids, rows, ends, image):
            if not text_only:
                x = self.patch(patches)
                x = torch.cat([self.cls.expand(x.shape[0], 1, -1), x], dim=1) + self.image.positions
                x = self.image.blocks(self.before(x))
                image = F.normalize(self.image.projection(self.image.after(x[:, 0])), dim=-1)
            t = self.text.blocks(self.tokens(ids) + self.text.positions)
            text = F.normalize(self.text.projection(self.text.after(t[rows, ends])), dim=-1)
            logits = self.logit_scale.exp() * image @ text.T
            return (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2

    return Clip()


def copy_weights(model, folder):
    from safetensors import safe_open
    names = {
        'patch.weight': 'image.patch.weight', 'cls': 'image.class', 'before.': 'image.before.', 'tokens.weight': 'text.embedding',
    }
    with safe_open(f'{folder}/weights.safetensors', 'pt') as weights, torch.no_grad():
        for name, parameter in model.named_parameters():
            ours = name
            for start, other in names.items():
                if name.startswith(start): ours = other + name[len(start):]
            ours = re.sub(r'blocks\.(\d+)\.', r'block\1.', ours)
            for part, other in {'norm1.': 'attention.norm.', 'norm2.': 'mlp.norm.', 'qkv.': 'attention.in.', 'out.': 'attention.out.', 'up.': 'mlp.in.', 'down.': 'mlp.out.'}.items():
                ours = re.sub(rf'(block\d+\.){re.escape(part)}', rf'\1{other}', ours)
            ours = re.sub(r'(norm|before|after)\.weight$', r'\1.gain', ours)
            ours = re.sub(r'projection\.weight$', 'projection', ours)
            value = weights.get_tensor(ours)
            linear = value.ndim == 2 and 'positions' not in name and name != 'tokens.weight'
            parameter.copy_(value.T if linear else value)


@answer
def build(command):
    from safetensors.torch import load_file
    global update, done
    folder, text_only = command['folder'], 'context' in command['model']
    config = json.load(open(f'{folder}/model.json'))
    data = load_file(f'{folder}/batch.safetensors')
    model = build_model(config, text_only)
    copy_weights(model, folder)
    batch, context = data['ids'].shape
    rows = torch.arange(batch)
    ids, ends = data['ids'].long(), data['ends'].long() - rows * context
    patches, image = (None, data['image']) if text_only else (data['patches'], None)
    decayed = [p for name, p in model.named_parameters() if name.endswith('weight') and p.ndim == 2 and name != 'tokens.weight']
    others = [p for p in model.parameters() if not any(p is other for other in decayed)]
    optimiser = torch.optim.AdamW(
        [{'params': decayed, 'weight_decay': 0.2}, {'params': others, 'weight_decay': 0}], lr=1e-4, betas=(0.9, 0.98), eps=1e-6, fused=True)
    started = time.perf_counter()
    forward = torch.compile(model) if command.get('compiled') else model

    def update():
        optimiser.zero_grad(set_to_none=True)
        loss = forward(patches, ids, rows, ends, image)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=4.6051702)
        return loss.item()

    loss = update()
    return {'ms': (time.perf_counter() - started) * 1000, 'loss': loss}


@answer
def steps(command):
    result = {'wallMs': [], 'userMs': [], 'systemMs': []}
    for _ in range(command['count']):
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        loss = update()
        result['wallMs'].append((time.perf_counter() - started) * 1000)
        after = resource.getrusage(resource.RUSAGE_SELF)
        result['userMs'].append((after.ru_utime - before.ru_utime) * 1000)
        result['systemMs'].append((after.ru_stime - before.ru_stime) * 1000)
    return {**result, 'loss': loss, 'peak': memory('VmHWM')}


for line in sys.stdin:
    command = json.loads(line)
    print(json.dumps({'answer': answers[command['do']](command)}), flush=True)
