"""JPEG files to squares with Pillow or torchvision; commands and answers are JSON lines, as engine.ts has them."""
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def pillow(path, size, draft=False):
    from PIL import Image
    image = Image.open(path)
    scale = size / min(image.size)
    wanted = [max(size, round(side * scale)) for side in image.size]
    if draft: image.draft('RGB', wanted)
    image = image.convert('RGB').resize(wanted, Image.BICUBIC)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size)).tobytes()


def pillow_draft(path, size):
    return pillow(path, size, True)


def torchvision(path, size):
    from torchvision.io import ImageReadMode, decode_jpeg, read_file
    from torchvision.transforms.v2.functional import InterpolationMode, center_crop, resize
    image = decode_jpeg(read_file(path), mode=ImageReadMode.RGB)
    return center_crop(resize(image, [size], interpolation=InterpolationMode.BICUBIC, antialias=True), [size, size])


ways = {'pillow': pillow, 'pillow_draft': pillow_draft, 'torchvision': torchvision}

for line in sys.stdin:
    command = json.loads(line)
    if command['way'] == 'torchvision':
        import torch
        torch.set_num_threads(1)  # the threads are ours, one an image
    way = ways[command['way']]
    with ThreadPoolExecutor(command['threads']) as pool:
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        assert len(list(pool.map(lambda path: way(path, command['resolution']), command['files']))) == len(command['files'])
        wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    times = {'wallMs': wall * 1000, 'userMs': (after.ru_utime - before.ru_utime) * 1000, 'systemMs': (after.ru_stime - before.ru_stime) * 1000}
    print(json.dumps({'answer': times}), flush=True)
