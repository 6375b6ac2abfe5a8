"""Captions to tokens with OpenAI's SimpleTokenizer (as the package clip-anytorch carries it) or Hugging Face's tokenizers."""
import importlib.util
import json
import resource
import sys
import time


def simple_tokenizer():
    # By its path: the package itself imports PyTorch and more.
    folder = importlib.util.find_spec('clip').submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location('simple_tokenizer', f'{folder}/simple_tokenizer.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SimpleTokenizer()


def openai():
    tokenizer = simple_tokenizer()
    return lambda lines: [tokenizer.encode(line) for line in lines]


def hugging_face():
    """As transformers sets up its fast CLIP tokenizer (convert_slow_tokenizer.py, CLIPConverter)."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    slow = simple_tokenizer()
    merges = sorted(slow.bpe_ranks, key=slow.bpe_ranks.get)
    tokenizer = Tokenizer(models.BPE(
        vocab=slow.encoder, merges=merges, continuing_subword_prefix='', end_of_word_suffix='</w>', fuse_unk=False, unk_token='<|endoftext|>'))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r'\s+'), ' '), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), behavior='removed', invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])
    return lambda lines: [encoding.ids for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)]


made = {}
for line in sys.stdin:
    command = json.loads(line)
    way = command['way']
    if way not in made: made[way] = {'openai': openai, 'hugging_face': hugging_face}[way]()
    lines = open(command['file'], encoding='utf8').read().split('\n')
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    count = sum(map(len, made[way](lines)))
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    times = {'wallMs': wall * 1000, 'userMs': (after.ru_utime - before.ru_utime) * 1000, 'systemMs': (after.ru_stime - before.ru_stime) * 1000}
    print(json.dumps({'answer': {**times, 'count': count}}), flush=True)
