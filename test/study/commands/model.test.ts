/** `pipe model`: what it says, in this process, and that the whole program says it. */
import { Command } from 'commander';
import { afterAll, describe, expect, it } from 'vitest';
import { modelCommand } from '../../../src/study/commands/model.ts';
import { makeProject } from '../../rig/pipe.ts';

const project = makeProject({ 'package.json': '{}' });
afterAll(() => project.remove());

/** What `pipe model …` writes. */
async function model(args: readonly string[], json = false): Promise<string> {
  let output = '';
  const program = new Command('pipe').exitOverride();
  modelCommand.register(program, { projectRoot: process.cwd(), write: (text) => void (output += text), writeError: () => {}, isTerminal: false, json });
  await program.parseAsync(['model', ...args], { from: 'user' });
  return output;
}

interface Described {
  readonly parameters: number;
  readonly trainable: number;
  readonly macsPerPair: number;
  readonly flopsPerPair: number;
  readonly macs: Readonly<Record<string, number>>;
}
const described = async (...args: readonly string[]): Promise<Described> => JSON.parse(await model(args, true)) as Described;

const input = ['--resolution', '32', '--context', '16', '--vocabulary', '512'];
const sum = (values: Readonly<Record<string, number>>): number => Object.values(values).reduce((all, value) => all + value, 0);

describe('pipe model', () => {
  it('tabulates a model by part, and what of it is trained', async () => {
    const text = await model(['n0']);
    expect(text).toMatch(/^token embedding +65,536 +65,536$/m);
    expect(text).toMatch(/^all +144,769 +144,769$/m);
    const { stdout, code } = project.pipe(['model', 'd32l2', ...input, '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(await described('d32l2', ...input));
    expect(JSON.parse(stdout)).toMatchObject({
      parameters: 76_673, trainable: 76_673, nonEmbedding: 60_289, macsPerPair: 981_120, flopsPerPair: 6 * 981_120,
      tokens: { image: 17, text: 16 }, attentionPairs: { image: 17 ** 2, text: 16 ** 2 },
    });
  });

  it('shows an adapter on a frozen base', async () => {
    // Rank 8 on queries and values of both towers' four layers of width 96.
    const trainable = 2 * 4 * 2 * 2 * 96 * 8;
    const text = await model(['n3', '--adapter', 'lora-8']);
    expect(text).toMatch(new RegExp(`^adapters +24,576 +24,576$`, 'm'));
    expect(text).toMatch(/^image tower +472,512 +0$/m);
    expect(text).toContain('; 1.80 % of the parameters are trained');
    const lora = await described('n3', '--adapter', 'lora-8');
    expect(lora).toMatchObject({ parameters: 1_337_857 + trainable, trainable, trainableParts: { adapters: trainable, 'text tower': 0 } });
    expect(lora.flopsPerPair).toBe(4 * lora.macsPerPair);
    // One for each of five modalities, both towers: W_down, W_up and their biases.
    expect((await described('n3', '--adapter', 'pfeiffer-4+hard')).trainable).toBe(5 * 2 * 4 * (2 * 96 * 4 + 96 + 4));
  });

  it('shows sharing, a masking and a decoder', async () => {
    expect(await described('n3', '--sharing', 'blocks')).toMatchObject({ parameters: expect.closeTo(892_000, -4) as number });
    const masked = await described('d32l2', ...input, '--masking', 'window-4+image-random-50');
    // |i - j| <= 2 among the 15 that are not the first, and the first sees all and is seen by all.
    expect(masked).toMatchObject({ tokens: { image: 1 + 8, text: 16 }, attentionPairs: { text: 15 + 2 * 14 + 2 * 13 + 2 * 16 - 1 } });
    expect(await described('d32l2', ...input, '--masking', 'truncate', '--tokens', '8')).toMatchObject({ tokens: { text: 8 } });
    for (const decoder of ['coca', 'git', 'prefix-lm']) {
      const whole = await described('d32l2', ...input, '--decoder', decoder);
      expect(sum(whole.macs)).toBe(whole.macsPerPair);
      expect(Object.keys(whole.macs)).toHaveLength({ coca: 3, git: 2, 'prefix-lm': 1 }[decoder]!);
    }
  });

  it.each([
    [['n33'], /unknown model size "n33"/, 'did you mean n3?'],
    [['huge'], /unknown model size "huge"/, 'or one of n0, n1'],
    [['n3', '--adapter', 'lora'], /adapter: "lora" is not known/, 'did you mean lora-8?'],
    [['n3', '--sharing', 'blocs'], /--sharing blocs is not known/, 'did you mean blocks?'],
    [['n3', '--masking', 'windw-16'], /masking: "windw-16" is not known/, 'did you mean window-16?'],
    [['n3', '--decoder', 'coco'], /--decoder coco is not known/, 'did you mean coca?'],
    [['n3', '--masking', 'random'], /random needs a budget/, 'set tokens'],
    [['n3', '--adapter', 'lora-8', '--sharing', 'all'], /adapters are of one tower each/, 'sharing: dual'],
    [['n0', '--resolution', '32'], /n0 has resolution 64/, 'd32l2'],
  ])('%j is refused with exit code 2', async (args, message, hint) => {
    await expect(model(args)).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(message) as string, hint: expect.stringContaining(hint) as string });
  });

  it('ends with that code', () => {
    const { stdout, stderr, code } = project.pipe(['model', 'n33']);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/unknown model size "n33"\n.*did you mean n3\?/);
  });
});
