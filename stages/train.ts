import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';
import { schedules } from '../src/study/nn/schedule.ts';
import { auxiliaryKinds } from '../src/study/nn/auxiliary.ts';
import { maskedConfig, modelProblem, sizeProblem } from '../src/study/nn/model-params.ts';
import { wholeReading } from '../src/study/nn/reading.ts';
import { recipeOf } from '../src/study/nn/recipe.ts';
import { towerVariants } from '../src/study/nn/tower-variants.ts';

export const stage = defineStage({
  summary: 'Train a two-tower CLIP on image–caption pairs for a budget of compute.',
  params: z
    .strictObject({
      /** Width and layers as `d32l2`, or a preset: `n0` … `n8`, `Ti/16`, `S/16`, `M/16`, `B/32`. */
      size: z.string().superRefine((name, context) => {
        const message = sizeProblem(name);
        if (message !== null) context.addIssue({ code: 'custom', message });
      }),
      /** The budget, exactly one: FLOP at 6·MAC a pair, pairs, or passes over the training pairs. */
      flops: z.number().positive().nullable().optional(),
      pairs: z.number().positive().nullable().optional(),
      epochs: z.number().positive().nullable().optional(),
      /** Which budget counts, where a pipeline gives two to choose from. */
      matched: z.enum(['flops', 'pairs']).nullable().default(null),
      seed: z.int().default(1),
      /** What the towers share (`blocks`, `all`, `attention`), or a dual control of the same cost. */
      sharing: z.enum(towerVariants).default('dual'),
      /**
       * How captions and images are fitted into less: what is read (`truncate`, `chars77`, `random`, `block`, `syntax`, `frequency`,
       * `sentences`, `chunks`, `image-random-50` …), which pairs of tokens the text tower's attention allows (`causal`,
       * `bidirectional`, `window-16`, `bigbird-8-3-1` …), `rotary` positions, whether training ends with everything read
       * (`tuned`, `stretched`), and what is asked for beside contrast (`mlm`, `span`, `mim`, as `auxiliary`); several are joined by `+`.
       */
      masking: z.string().default('full'),
      /** A loss beside contrast: words (`mlm`) or runs of words (`span`) are hidden, or patches (`mim`), and asked for. */
      auxiliary: z.enum(auxiliaryKinds).default('none'),
      auxiliaryWeight: z.number().positive().default(0.5),
      /** Budget of tokens a caption, start and end included, for ways of reading that have one. */
      tokens: z.int().nullable().default(null),
      /** Share of the steps that reads everything, with `tuned`. */
      tuning: z.number().gt(0).lt(1).default(0.1),
      /** What the data will have; where it is said, the model is checked against it before anything runs. */
      input: z
        .strictObject({ resolution: z.int(), context: z.int(), vocabulary: z.union([z.int(), z.literal('clip')]) })
        .nullable()
        .default(null),
      /** Pixels of a patch's side; default 8, or the preset's own. */
      patch: z.int().positive().nullable().default(null),
      /** Width of an attention head; a narrower model has one head. */
      headWidth: z.int().positive().nullable().default(null),
      /** Pairs of one update. */
      batch: z.int().min(2).max(65536).default(64),
      /**
       * Pairs whose activations are held at once, for batches beyond memory: every pair stays a negative of every other, and
       * the gradient is the whole batch's. Must divide the batch, or its accumulated part; null for the whole batch.
       */
      chunk: z.int().positive().nullable().default(null),
      /** Cuts the batch into so many parts, contrasted within themselves, whose gradients are averaged. */
      accumulate: z.int().positive().default(1),
      /** Keep only what goes into each transformer block and compute its inside again for the gradient: less memory for more time. */
      checkpointBlocks: z.boolean().default(false),
      /** What products of matrices are computed in, on native TensorFlow. */
      precision: z.enum(['float32', 'bfloat16']).default('float32'),
      /** The gradient is taken of the loss times this, and divided by it again. */
      lossScale: z.number().positive().default(1),
      /** Let XLA compile the steps, on native TensorFlow; compiling takes long at the start. */
      xla: z.boolean().default(false),
      /** Peak; default by width. */
      learningRate: z.number().positive().nullable().default(null),
      /** Share of the steps over which the rate rises to its peak. */
      warmup: z.number().min(0).max(1).default(0.1),
      /** How the rate goes on: half a cosine or a line down to zero, or not at all. */
      schedule: z.enum(schedules).default('cosine'),
      weightDecay: z.number().min(0).default(0.2),
      /** `decoupled` is AdamW; `l2` adds the decay to the gradient, as Adam with L2 does (PubMedCLIP's recipe). */
      decay: z.enum(['decoupled', 'l2']).default('decoupled'),
      /** What decays: matrices only (not biases, norms, embeddings and the logit scale), or everything. */
      decayed: z.enum(['matrices', 'all']).default('matrices'),
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.98),
      epsilon: z.number().positive().default(1e-6),
      /** Bound of the learned logit scale; null for none. */
      largestLogitScale: z.number().positive().nullable().default(100),
      /** Bound of the gradient's global norm; null for none. */
      clipNorm: z.number().positive().nullable().default(1),
      /** Random resized crops that keep at least `crop` of the area, and mirroring; null for neither. */
      augment: z
        .strictObject({ crop: z.number().gt(0).max(1).default(1), flip: z.boolean().default(false) })
        .nullable()
        .default(null),
      /**
       * `pubmedclip`, the recipe as its code runs it, or without parts of it (`pubmedclip-no-crops-no-flips`); parts that are on replace
       * what the other params say of the same thing. Parts: characters, factor, imagenet, crops, flips, edge, centre, adam, constant,
       * unbounded. Null: none.
       */
      recipe: z.string().nullable().default(null),
      /** Train on so many of the training pairs, drawn by seed; null for all. */
      unique: z.int().min(2).nullable().default(null),
      /** Steps between two validations; null for ten a run, 0 for none. */
      evaluateEvery: z.int().min(0).nullable().default(null),
      /** Pairs in the fixed validation pool. */
      validationPool: z.int().min(2).default(256),
      /** Which weights to keep: of the last step, or of the least validation loss. */
      keep: z.enum(['last', 'best']).default('last'),
      /** Seconds between two checkpoints, where the pipeline asks for them. */
      checkpointEvery: z.number().positive().default(60),
    })
    .refine((params) => params.matched !== null || [params.flops, params.pairs, params.epochs].filter((budget) => typeof budget === 'number').length === 1, {
      message: 'give exactly one of flops, pairs and epochs',
    })
    .refine((params) => params.matched === null || typeof params[params.matched] === 'number', {
      path: ['matched'],
      message: 'the budget that is to count is not given',
    })
    .superRefine((params, issues) => {
      const problem = modelProblem(params);
      if (problem !== null) issues.addIssue({ code: 'custom', path: [problem.param], message: problem.message });
    })
    .superRefine(({ batch, accumulate, chunk }, context) => {
      const part = batch / accumulate;
      if (!Number.isInteger(part) || part < 2) {
        context.addIssue({ code: 'custom', path: ['accumulate'], message: `a batch of ${batch} does not divide into ${accumulate} parts of at least 2 pairs` });
      } else if (chunk !== null && chunk < part && part % chunk !== 0) {
        context.addIssue({ code: 'custom', path: ['chunk'], message: `chunks of ${chunk} pairs do not fill ${part} pairs` });
      }
    })
    .refine(({ keep, evaluateEvery }) => keep === 'last' || evaluateEvery !== 0, {
      path: ['evaluateEvery'],
      message: 'keep: best needs validation',
    }),
  inputs: {
    images: 'folder',
    tokens: 'folder',
    /** Weights to start from, in place of random ones: a model folder, or one of Hugging Face's. */
    weights: 'folder?',
  },
  outputs: { model: 'folder', metrics: 'metrics' },
  async check({ params, inputs }) {
    if (typeof inputs.weights !== 'string') return [];
    const { startProblem } = await import('../src/study/nn/given-models.ts');
    const problem = await startProblem(inputs.weights, params);
    return problem === null ? [] : [{ input: 'weights', ...problem }];
  },
  async run({ params, inputs, outputs, report, signal, checkpoint, resources, backend: choice }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { openImages } = await import('../src/study/data/image-shards.ts');
    const { openTokens } = await import('../src/study/text/token-file.ts');
    const { defaultLearningRate, flopsPerPair, stepsFor } = await import('../src/study/nn/budget.ts');
    const { openBackend } = await import('../src/study/nn/choose-backend.ts');
    const { drawRows, PairedDataError, rowsOfSplit } = await import('../src/study/nn/data.ts');
    const { startingWeights } = await import('../src/study/nn/layouts/foreign-weights.ts');
    const { saveModel } = await import('../src/study/nn/model-folder.ts');
    const { flopsPerMac, macsPerPair, modelSize, tokensPerPair } = await import('../src/study/nn/model-size.ts');
    const { train } = await import('../src/study/nn/training.ts');

    const { batch, seed, size } = params;
    const recipe = params.recipe === null ? null : recipeOf(params.recipe);
    const images = await openImages(inputs.images);
    try {
      const tokens = await openTokens(inputs.tokens);
      const { config, masking } = maskedConfig(params, { resolution: images.resolution, context: tokens.context, vocabulary: tokens.vocabulary });
      const start = inputs.weights === undefined ? null : await startingWeights(inputs.weights, config);
      const all = rowsOfSplit(images, tokens, 'train');
      const rows = params.unique === null ? all : drawRows(all, params.unique, seed, 'unique');
      if (rows.length < batch) throw new PairedDataError(`${rows.length} training pairs do not fill a batch of ${batch}`);
      const perPair = flopsPerPair(config, masking.reading, masking.tuned ? params.tuning : 0);
      const budget = params.matched === null ? params : { [params.matched]: params[params.matched] };
      const steps = stepsFor(budget, config, batch, rows.length, perPair);
      const tunedSteps = masking.tuned ? Math.max(1, Math.round(params.tuning * steps)) : 0;
      const learningRate = params.learningRate ?? defaultLearningRate(config);
      const validation = drawRows(rowsOfSplit(images, tokens, 'validation'), params.validationPool, 'validation');
      const counts = modelSize(config);

      const backend = await openBackend(choice, { threads: resources.cpu, gpus: resources.gpus, note: report.note });
      report.platform({ backend: backend.label, threads: backend.threads, device: backend.device });
      report.note(
        `${size}: ${counts.parameters.toLocaleString('en')} parameters, ${steps} steps of ${batch} pairs on ${backend.label}, ${backend.device}`,
      );
      const result = await train(
        backend,
        config,
        {
          images,
          tokens,
          train: rows,
          validation,
          ...(start === null ? {} : { start }),
          // With one core to compute on there is none to make batches with meanwhile.
          ...(resources.cpu > 1 ? { folders: { images: inputs.images, tokens: inputs.tokens } } : {}),
        },
        {
          steps,
          batch,
          seed,
          learningRate,
          warmup: recipe?.constant === true ? 0 : params.warmup,
          optimiser: {
            beta1: params.beta1,
            beta2: params.beta2,
            epsilon: params.epsilon,
            weightDecay: params.weightDecay,
            clipNorm: recipe?.constant === true ? null : params.clipNorm,
            decay: params.decay,
            decayed: params.decayed,
            largestLogitScale: recipe?.unbounded === true ? null : params.largestLogitScale,
            ...(recipe?.adam === true ? ({ beta2: 0.999, epsilon: 1e-8, weightDecay: 5e-4, decay: 'l2', decayed: 'all' } as const) : {}),
          },
          schedule: recipe?.constant === true ? 'constant' : params.schedule,
          compute: {
            chunk: params.chunk,
            accumulate: params.accumulate,
            checkpointBlocks: params.checkpointBlocks,
            precision: params.precision,
            lossScale: params.lossScale,
            xla: params.xla,
          },
          augment: recipe === null ? params.augment : recipe.crops || recipe.flips ? { crop: recipe.crops ? 0.08 : 1, flip: recipe.flips } : null,
          reading: masking.reading,
          ...(masking.tuned ? { wholeFrom: steps - tunedSteps + 1, stretch: masking.stretched } : {}),
          evaluateEvery: params.evaluateEvery ?? Math.max(1, Math.ceil(steps / 10)),
          keep: params.keep,
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

      report.note(`steps waited for data ${(100 * result.waitShare).toFixed(1)} % of the time`);
      const pairsSeen = steps * batch;
      const training = {
        steps,
        kept_step: result.keptStep,
        batch,
        pairs_seen: pairsSeen,
        unique_pairs: Math.min(pairsSeen, rows.length),
        flops: flopsPerMac * batch * ((steps - tunedSteps) * macsPerPair(config, masking.reading) + tunedSteps * macsPerPair(config)),
        text_tokens_seen: batch * ((steps - tunedSteps) * tokensPerPair(config, masking.reading).text + tunedSteps * tokensPerPair(config).text),
        learning_rate: learningRate,
        weight_decay: recipe?.adam === true ? 5e-4 : params.weightDecay,
        seed,
      };
      const reading = masking.tuned ? { ...masking.reading, ...wholeReading } : masking.reading;
      const plain = params.recipe === null && reading.text.kind === 'whole' && reading.image.kind === 'whole';
      // What was asked for in training is no part of the model.
      const { auxiliary: _, ...kept } = config;
      await saveModel(outputs.model, { config: kept, training, weights: result.weights, ...(plain ? {} : { reading }) });
      await writeFile(outputs.metrics, metricLines(result.rows));
      const last = (metric: string): number | undefined => result.rows.findLast((row) => row.metric === metric)?.value;
      const validated = last('validation_loss');
      report.note(
        `training loss ${last('loss')!.toFixed(3)}` +
          (validated === undefined ? '' : `, validation loss ${validated.toFixed(3)} of ${Math.log(validation.length).toFixed(3)} by chance`),
      );
    } finally {
      images.close();
    }
  },
});
