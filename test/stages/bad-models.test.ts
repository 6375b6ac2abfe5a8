/** Models that cannot be built, refused by the whole program when the pipeline is loaded, at the parameter that is wrong. */
import { afterAll, describe, expect, it } from 'vitest';
import { makeProject } from '../rig/pipe.ts';

const figures = `
  images: { run: 'mkdir \${out.images}', out: { images: { path: images, kind: folder } } }
  tokens: { run: 'mkdir \${out.tokens}', out: { tokens: { path: tokens, kind: folder } } }
`;
const input = '{ resolution: 32, context: 16, vocabulary: 512 }';

/** What is wrong, the params that say it, the one that is named, and the message. */
const models: readonly (readonly [about: string, params: readonly string[], at: string, message: RegExp])[] = [
  ['heads that do not share the width', ['size: d64l2', 'headWidth: 24'], 'headWidth', /heads of width 24 do not share the width 64 of d64l2/],
  ['a context beyond the positions of a preset', ['size: n4', 'patch: 8', 'input: { resolution: 64, context: 128, vocabulary: 512 }'], 'input', /the preset n4 has context 77, but the data have 128/],
  ['a patch that does not fill the image', ['size: d16l2', 'patch: 5', `input: ${input}`], 'input', /patches of 5 pixels do not fill 32 pixels/],
  ['a prefix beyond the context', ['size: d16l1', 'patch: 8', 'masking: prefix-20', `input: ${input}`], 'masking', /a prefix of 20 tokens is longer than the 16/],
  ['a mask that the token that is read does not see through', ['size: d16l1', 'patch: 8', 'masking: window-4-apart', `input: ${input}`], 'masking', /under window attention the token that is read does not see all of 16 tokens within 1 layers/],
  ['a masking that is not known', ['size: d16l1', 'masking: windows-8'], 'masking', /masking: "windows-8" is not known/],
  ['a budget that is missing', ['size: d16l1', 'masking: random'], 'tokens', /random needs a budget/],
  ['a budget beyond the context', ['size: d16l1', 'patch: 8', 'masking: random', 'tokens: 40', `input: ${input}`], 'tokens', /a budget of 40 tokens is more than the context of 16/],
  ['sharing between towers of two shapes', ['size: B/32', 'sharing: blocks'], 'sharing', /width 768 and 512/],
  ['a recipe without a part that there is not', ['size: d16l1', 'recipe: pubmedclip-no-colour'], 'recipe', /has no part "colour"/],
  ['fewer parameters than the vocabulary needs', ['size: p10kl2', 'patch: 8', 'input: { resolution: 32, context: 16, vocabulary: clip }'], 'input', /10,000 parameters are not enough for a vocabulary of 49,408/],
];
const adapters: readonly (readonly [about: string, rest: string, message: RegExp])[] = [
  ['an adapter without its base', ' }, with: { way: lora-4, flops: 1e9 } }', /base/],
  ['an adapter that is not known', ', base: base.model }, with: { way: lora, flops: 1e9 } }', /adapter: "lora" is not known: did you mean lora-8\? one of projections, pfeiffer-16/],
];

interface Diagnostic {
  readonly message: string;
  readonly hint?: string;
}

describe('a model that cannot be built is refused when the pipeline is loaded', () => {
  const stages = [
    ...models.map(([, params], index) => `  model${index}:\n    uses: train\n    in: { images: images.images, tokens: tokens.tokens }\n    with:\n      pairs: 100\n${params.map((line) => `      ${line}\n`).join('')}`),
    '  base: { uses: train, in: { images: images.images, tokens: tokens.tokens }, with: { size: d16l1, pairs: 100 } }\n',
    ...adapters.map(([, rest], index) => `  adapter${index}: { uses: adapt, in: { images: images.images, tokens: tokens.tokens${rest}\n`),
  ];
  const project = makeProject({ 'bad.yaml': `pipeline: bad\nstages:${figures}\n${stages.join('')}`, 'package.json': '{}' });
  afterAll(() => project.remove());
  const { stdout, code } = project.pipe(['validate', 'bad.yaml', '--json']);
  const { diagnostics } = JSON.parse(stdout.trim().split('\n').at(-1)!) as { diagnostics: readonly Diagnostic[] };
  const of = (stage: string): string[] => diagnostics.filter(({ message }) => message.includes(`\`${stage}\``)).map(({ message, hint }) => `${message} ${hint ?? ''}`);

  it('all in one go, with exit code 2', () => {
    expect(code).toBe(2);
    expect(diagnostics).toHaveLength(models.length + adapters.length);
  });

  it.each(models.map(([about, , at, message], index) => [about, `model${index}`, at, message] as const))('%s', (_, stage, at, message) => {
    const [said, ...more] = of(stage);
    expect(more).toEqual([]);
    expect(said).toMatch(message);
    expect(said).toContain(`\`with.${at}\``);
  });

  it.each(adapters.map(([about, , message], index) => [about, `adapter${index}`, message] as const))('%s', (_, stage, message) => {
    expect(of(stage)[0]).toMatch(message);
  });
});
