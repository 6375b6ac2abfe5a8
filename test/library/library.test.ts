/** The package as somebody else's program imports it: by its name, built. */
import { expect, it } from 'vitest';

interface Library {
  tokenize(text: string): number[];
  modelSize(name: string): { parameters: number; nonEmbedding: number; macsPerPair: number };
  fitScalingLaw(
    points: readonly { n: number; d: number; loss: number }[],
    options?: { replicates?: number },
  ): { A: number; B: number; E: number; alpha: number; beta: number; objective: number; interval: Record<string, readonly [number, number]> };
  defineStage(stage: object): { stageApi: number };
  runPipeline(options: object): Promise<{ ran: number; fresh: number; failed: number }>;
}
const name = 'xfolds';
const library = (await import(name)) as Library;

it('cuts text into CLIP ids without start and end', () => {
  expect(library.tokenize('a photo of a cat')).toEqual([320, 1125, 539, 320, 2368]);
});

it('knows the size of published models', () => {
  const { parameters, nonEmbedding, macsPerPair } = library.modelSize('B/32');
  expect(parameters / 1e6).toBeCloseTo(151.28, 2);
  expect(nonEmbedding / 1e6).toBeCloseTo(125.98, 2);
  expect(macsPerPair / 1e9).toBeCloseTo(7.39, 2);
});

it('finds a law again from points that lie on it', () => {
  const law = { A: 5, B: 60, E: 0.8, alpha: 0.3, beta: 0.4 };
  const points = [1e4, 4e4, 1.6e5, 6.4e5].flatMap(n =>
    [3e3, 1e4, 3e4, 1e5].map(d => ({ n, d, loss: law.E + law.A * n ** -law.alpha + law.B * d ** -law.beta })),
  );
  const fit = library.fitScalingLaw(points, { replicates: 20 });
  expect(fit.alpha).toBeCloseTo(law.alpha, 3);
  expect(fit.beta).toBeCloseTo(law.beta, 3);
  expect(fit.E).toBeCloseTo(law.E, 3);
  expect(fit.interval['alpha']![0]).toBeLessThanOrEqual(fit.interval['alpha']![1]);
});

it('defines stages and runs pipelines', async () => {
  expect(library.defineStage({}).stageApi).toBe(1);
  await expect(library.runPipeline({ file: 'there-is-none.yaml' })).rejects.toThrow(/there-is-none/);
});
