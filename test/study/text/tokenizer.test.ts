import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeBytes } from '../../../src/study/text/byte-pairs.ts';
import { detokenize, tokenize } from '../../../src/study/text/tokenizer.ts';
import { clipVocabulary } from '../../../src/study/text/vocabulary.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

interface Case {
  text: string;
  ids: number[];
  origin?: string;
  ids_nfc?: number[];
}

describe("CLIP's tokenizer", () => {
  it.each([
    ['a diagram', [320, 22697]],
    ['a photo of a cat', [320, 1125, 539, 320, 2368]],
    ['Hello World!', [3306, 1002, 256]],
    ['', []],
    [' \t\n ', []],
    ['<|startoftext|>x<|endoftext|>', [49406, 343, 49407]],
  ])('knows published ids of %j', (text, ids) => expect(tokenize(text)).toEqual(ids));

  it.skipIf(!hasShared)("equals OpenAI's on every golden case (needs ../shared)", () => {
    const cases = JSON.parse(readFileSync(sharedPath('clip', 'golden_openai.json'), 'utf8')) as Case[];
    expect(cases.length).toBeGreaterThan(70);
    for (const { text, ids } of cases) expect(tokenize(text), JSON.stringify(text)).toEqual(ids);
  });

  it.skipIf(!hasShared)('equals the vectors of an encoder without ftfy, and the published ones (needs ../shared)', () => {
    const lines = readFileSync(sharedPath('clip', 'token_id_vectors.jsonl'), 'utf8').trim().split('\n');
    expect(lines.length).toBeGreaterThan(200);
    for (const line of lines) {
      const { text, ids, origin, ids_nfc } = JSON.parse(line) as Case;
      const repair = origin === 'published';
      expect([49406, ...tokenize(text, { repair }), 49407], line).toEqual(ids);
      if (ids_nfc !== undefined) expect([49406, ...tokenize(text), 49407], line).toEqual(ids_nfc);
    }
  });

  it.each([
    ['ＦＵＬＬ　width', 'full width'],
    ['ﬁbrosis of the ﬂow', 'fibrosis of the flow'],
    ['a\u0007b\ufeff c', 'ab c'],
    ['cafÃ© 10Â° itâ€™s', "café 10° it's"],
    ['cafÃƒÂ©', 'café'],
    ['Â«dÃ©jÃ  vuÂ»'.replace('Ã ', 'Ã\xa0'), '«déjà vu»'],
    ['â€œquotedâ€\x9d', '"quoted"'],
    ['&amp; &lt;5 mm &eacute; &#233; &EACUTE;', '& <5 mm é é É'],
    ['&amp;amp;amp; twice more', '& twice more'],
    ['dâ€™un Å“dÃ¨me', "d'un œdème"],
    ['Marathonâ„¢', 'Marathonâ"¢'], // as ftfy leaves it
    ['x\u001b[31mred\u001b[0m', 'xred'],
    ['“curly” ‘quotes’ ʼ', "\"curly\" 'quotes' '"],
    ['one\r\ntwo\u2028three', 'one two three'],
    ['three\x85', 'three…'],
    ['cafe\u0301', 'café'],
  ])('repairs %j as ftfy does', (damaged, plain) => expect(tokenize(damaged)).toEqual(tokenize(plain)));

  it.each(['2×³', '±5 µm², 10°', 'Ångström', 'naïve Übung', 'ÉTÉ', '3½ – 4', 'Ø 5', 'L’Hôpital'])(
    'leaves honest text %j alone',
    (text) => {
      const straight = text.replace('’', "'").normalize('NFC');
      expect(tokenize(text)).toEqual(tokenize(straight, { repair: false }));
    },
  );

  it('gives one token a digit, and cuts contractions as the pattern does', () => {
    expect(tokenize('2023')).toHaveLength(4);
    expect(detokenize(tokenize("it's they'll ''s ?'s"))).toBe("it 's they 'll '' s ?' s");
  });

  it('comes back from ids as the text in lower case', () => {
    expect(detokenize(tokenize('Chest  X-ray, 5 µm'))).toBe('chest x - ray , 5 µm');
    expect(detokenize([49406, 320, 1929, 49407])).toBe('a dog');
    expect(() => detokenize([320, 49408])).toThrow(/49408 at 1/);
    expect(() => detokenize([-1])).toThrow(RangeError);
  });

  it('takes any text, and loses no letter of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const ids = tokenize(text);
        expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < 49408)).toBe(true);
      }),
    );
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-zß-öø-ÿ]+$/)), (words) => {
        expect(detokenize(tokenize(words.join(' '), { repair: false }))).toBe(words.join(' '));
      }),
    );
  });

  it('merges by heap as by scan', () => {
    const { byteToken, merged } = clipVocabulary();
    const tokens = (text: string): Int32Array => Int32Array.from(text, (letter) => byteToken[letter.charCodeAt(0)]!);
    fc.assert(
      fc.property(fc.stringMatching(/^[aeinrst]{150,199}$/), (text) => {
        // One more letter than the scan takes: the part before a letter that merges with nothing before it stays the same.
        const scanned = mergeBytes(tokens(text), merged);
        const separator = '\u0001'.repeat(60);
        const heaped = mergeBytes(tokens(text + separator), merged);
        expect([...heaped.slice(0, scanned.length)]).toEqual([...scanned]);
      }),
    );
    const started = performance.now();
    expect(tokenize('ab'.repeat(100_000)).length).toBeGreaterThan(1000);
    expect(performance.now() - started).toBeLessThan(5000); // a scan would take minutes
  });

  it('has a vocabulary in which every merge joins earlier tokens', () => {
    const { left, right, merged } = clipVocabulary();
    const merges = Array.from({ length: 49406 - 512 }, (_, i) => i + 512);
    const earlier = (part: number, token: number): boolean => part >= 0 && part < token;
    expect(merges.filter((token) => !earlier(left[token]!, token) || !earlier(right[token]!, token))).toEqual([]);
    expect(merges.filter((token) => merged(left[token]!, right[token]!) !== token)).toEqual([]);
    // No two tokens spell the same bytes, so no two symbols were taken for one another.
    const spelled = new Set<string>();
    const spell = (token: number): string =>
      token >= 512 ? spell(left[token]!) + spell(right[token]!) : `${token & 255},${token >= 256 ? 'w' : ''}`;
    for (let token = 0; token < 49406; token += 1) spelled.add(spell(token));
    expect(spelled.size).toBe(49406);
  });
});
