import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';
import { adapterOf } from '../src/study/nn/adapter-config.ts';
import { decoderKinds } from '../src/study/nn/decoder-config.ts';
import { ModelConfigError } from '../src/study/nn/config-error.ts';

export const stage = defineStage({
  summary: 'Train a base model further through adapters or whole, or an encoder–decoder of its sizes from scratch, at the same FLOP.',
  params: z.strictObject({
    /**
     * An adapter on the frozen base (`projections`, `pfeiffer-16`, `houlsby-16`, `lora-8`, `clip-adapter`; with `+hard`, `+soft` or
     * `+fusion` one for each modality), `full` for all of the base, `frozen` for the base as it is, or an encoder–decoder of the base's sizes, from random weights
     * and with the base's FLOP on top of its own (`coca`, `git`, `prefix-lm`).
     */
    way: z.string().superRefine((way, context) => {
      if (way === 'full' || way === 'frozen' || (decoderKinds as readonly string[]).includes(way)) return;
      try {
        adapterOf(way);
      } catch (error) {
        if (!(error instanceof ModelConfigError)) throw error;
        context.addIssue({ code: 'custom', message: `${error.message}: ${error.hint}, full, frozen, ${decoderKinds.join(', ')}` });
      }
    }),
    /** The budget on top of the base, at 4·MAC a pair where the base is frozen, else 6; what adapters to be fused have cost counts in it. */
    flops: z.number().positive(),
    seed: z.int().default(1),
    batch: z.int().min(2).max(65536).default(64),
    /** Peak; default by width, and a third of it for `full`. */
    learningRate: z.number().positive().nullable().default(null),
    warmup: z.number().min(0).max(1).default(0.1),
    weightDecay: z.number().min(0).default(0.2),
    clipNorm: z.number().positive().nullable().default(1),
    evaluateEvery: z.int().min(0).nullable().default(null),
    validationPool: z.int().min(2).default(256),
    checkpointEvery: z.number().positive().default(60),
  }),
  inputs: {
    images: 'folder',
    tokens: 'folder',
    base: 'folder',
    /** For fusion, which cannot do without: adapters that were trained before, each for its modality. */
    adapters: 'folder?',
  },
  outputs: { model: 'folder', metrics: 'metrics' },
  async check({ params: { way }, inputs: { base, adapters } }) {
    const { baseProblem, fusedProblem, fuses } = await import('../src/study/nn/given-models.ts');
    if (fuses(way) && adapters === undefined) {
      const before = way.replace('+fusion', '+hard');
      return [{ param: 'way', message: `${way} attends over adapters that were trained before, and the stage has no input \`adapters\``, hint: `train ${before} on the same base in another stage, and give its model as \`adapters:\` under \`in:\`` }];
    }
    if (!fuses(way) && adapters !== undefined) return [{ input: 'adapters', message: `${way} fuses no adapters`, hint: 'leave the input out, or take a way with +fusion' }];
    if (typeof base !== 'string') return [];
    const problem = await baseProblem(base, way);
    if (problem !== null) return [{ input: 'base', ...problem }];
    const fused = typeof adapters === 'string' ? await fusedProblem(adapters, base, way) : null;
    return fused === null ? [] : [{ input: 'adapters', ...fused }];
  },
  async run({ params, inputs, outputs, report, signal, checkpoint, resources, backend: choice }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { openImages } = await import('../src/study/data/image-shards.ts');
    const { openTokens } = await import('../src/study/text/token-file.ts');
    const { BudgetError, defaultLearningRate, flopsPerPair, stepsFor } = await import('../src/study/nn/budget.ts');
    const { openBackend } = await import('../src/study/nn/choose-backend.ts');
    const { checkModelFits, drawRows, rowsOfSplit } = await import('../src/study/nn/data.ts');
    const { adaptedConfig, fuses, withFused } = await import('../src/study/nn/given-models.ts');
    const { loadModel, saveModel } = await import('../src/study/nn/model-folder.ts');
    const { modelSize, tokensPerPair } = await import('../src/study/nn/model-size.ts');
    const { defaultOptimiser } = await import('../src/study/nn/optimiser.ts');
    const { initialWeights, parametersOf } = await import('../src/study/nn/parameters.ts');
    const { wholeReading } = await import('../src/study/nn/reading.ts');
    const { train } = await import('../src/study/nn/training.ts');

    const { way, batch, seed } = params;
    const base = await loadModel(inputs.base);
    if (way === 'frozen') {
      await saveModel(outputs.model, base);
      await writeFile(outputs.metrics, metricLines([{ metric: 'steps', value: 0 }]));
      report.note('the base as it is, with nothing trained');
      return;
    }
    const reading = base.reading ?? wholeReading;
    const kind = decoderKinds.find((name) => name === way);
    const config = adaptedConfig(base.config, way);
    const parameters = parametersOf(config);
    const plain = initialWeights(parameters, seed);
    if (kind === undefined) for (const [name, values] of base.weights) plain.set(name, values);
    if (fuses(way) && inputs.adapters === undefined) throw new Error('fusion attends over adapters that have been trained: give them as the input adapters');
    const adapters = inputs.adapters === undefined ? null : await loadModel(inputs.adapters);
    const start = adapters === null ? plain : withFused(inputs.adapters!, adapters, base, config, plain);
    /** What the model that training goes on from has cost. */
    const before = kind !== undefined ? null : (adapters ?? base).training;

    const images = await openImages(inputs.images);
    try {
      const tokens = await openTokens(inputs.tokens);
      checkModelFits(config, images, tokens);
      const rows = rowsOfSplit(images, tokens, 'train');
      const validation = drawRows(rowsOfSplit(images, tokens, 'validation'), params.validationPool, 'validation');
      const perPair = flopsPerPair(config, reading);
      // All ways end at the same FLOP: a decoder has no base to stand on and gets what that has cost as well, and fusion has what its adapters left.
      const flops = params.flops + base.training.flops - (before?.flops ?? 0);
      if (flops <= 0) {
        throw new BudgetError(`the adapters have cost ${(before!.flops - base.training.flops).toPrecision(3)} FLOP on top of the base, which leaves nothing of ${params.flops.toPrecision(3)} for ${way}`, 'train them for less, or raise flops');
      }
      const steps = stepsFor({ flops }, config, batch, rows.length, perPair);
      const learningRate = params.learningRate ?? defaultLearningRate(config) / (way === 'full' ? 3 : 1);
      const size = modelSize(config);
      const backend = await openBackend(choice, { threads: resources.cpu, gpus: resources.gpus, note: report.note });
      report.platform({ backend: backend.label, threads: backend.threads, device: backend.device });
      report.note(`${way}: ${size.trainable.toLocaleString('en')} of ${size.parameters.toLocaleString('en')} parameters, ${steps} steps of ${batch} pairs on ${backend.label}`);
      const result = await train(
        backend,
        config,
        { images, tokens, train: rows, validation, start },
        {
          steps,
          batch,
          seed,
          learningRate,
          warmup: params.warmup,
          optimiser: { ...defaultOptimiser, weightDecay: params.weightDecay, clipNorm: params.clipNorm },
          augment: null,
          reading,
          evaluateEvery: params.evaluateEvery ?? Math.max(1, Math.ceil(steps / 10)),
          keep: 'last',
        },
        {
          metric: report.metric,
          progress: (step, rate) => report.progress(step / steps, { step, total: steps, rate, unit: 'pairs' }),
          note: report.note,
          resumed: report.resumed,
          signal,
          checkpoint,
          checkpointEvery: params.checkpointEvery * 1000,
        },
      );
      const training = {
        steps,
        kept_step: result.keptStep,
        batch,
        pairs_seen: steps * batch + (before?.pairs_seen ?? 0),
        unique_pairs: Math.min(steps * batch, rows.length),
        flops: perPair * batch * steps + (before?.flops ?? 0),
        text_tokens_seen: tokensPerPair(config, reading).text * batch * steps + (before?.text_tokens_seen ?? 0),
        learning_rate: learningRate,
        weight_decay: params.weightDecay,
        seed,
      };
      await saveModel(outputs.model, { config, training, weights: result.weights, ...(base.reading === undefined ? {} : { reading }) });
      await writeFile(outputs.metrics, metricLines(result.rows));
      report.note(`training loss ${result.rows.findLast(({ metric }) => metric === 'loss')!.value.toFixed(3)}`);
    } finally {
      images.close();
    }
  },
});
