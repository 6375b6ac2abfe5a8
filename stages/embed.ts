import { z } from 'zod';
import { defineStage } from '../src/stage.ts';
import type { StoredEmbeddings } from '../src/study/eval/embedding-folder.ts';
import type { ImageSource } from '../src/study/nn/batches.ts';
import { classificationTasks, promptsOf } from '../src/study/eval/classification-tasks.ts';

/** Pairs of a split, drawn by the seed, or `all` of them in their order. */
const pairs = z.union([z.literal('all'), z.int().min(0)]);

export const stage = defineStage({
  summary: 'Embed the images and captions of a split, and prompts, once: evaluation needs no more of the model.',
  params: z
    .strictObject({
      /** How many pairs of each split: a number, drawn by `seed`, or `all`. */
      pairs: z.strictObject({ train: pairs.default(0), validation: pairs.default(0), test: pairs.default('all') }).default({ train: 0, validation: 0, test: 'all' }),
      /** Splits of which captions are not embedded: to train and choose classifiers, images will do. */
      imagesOnly: z.array(z.enum(['train', 'validation', 'test'])).default([]),
      seed: z.int().default(1),
      batch: z.int().positive().default(64),
      /** Captions `as-trained`: reduced or in windows, as when the model was last trained; or `whole`. */
      read: z.enum(['as-trained', 'whole']).default('as-trained'),
      /** Of an encoder–decoder's log p(caption | image), how much of log p(caption) is taken off. */
      prior: z.number().min(0).max(1).default(1),
      /** Classes whose prompts are embedded too, for the stage `classify`; by an encoder–decoder scored for each image, in place of captions. */
      classes: classificationTasks.default({}),
      /** Which of them; null for all. */
      tasks: z.array(z.string()).nullable().default(null),
      /**
       * What hard routing goes by: the pairs' labels (`known`), or as it would without any (`predicted`): an image by what is predicted of it,
       * a caption by the modality that it names itself.
       */
      route: z.enum(['known', 'predicted']).default('known'),
    })
    .superRefine(({ classes, tasks }, context) => {
      for (const [index, task] of (tasks ?? []).entries()) {
        if (classes[task] === undefined) context.addIssue({ code: 'custom', path: ['tasks', index], message: `"${task}" is none of the classes: ${Object.keys(classes).join(', ')}` });
      }
    }),
  inputs: {
    model: 'folder',
    images: 'folder',
    tokens: 'folder',
    /** With `route: predicted`: modalities of images, as `classify` writes its predictions, and captions, as `preprocess` writes them. */
    routes: 'file?',
    captions: 'file?',
  },
  outputs: { embeddings: 'folder' },
  async check({ params: { route, classes, tasks, imagesOnly, pairs }, inputs: { model, routes, captions } }) {
    const { embedProblem } = await import('../src/study/nn/given-models.ts');
    const missing = [...(routes === undefined ? ['routes'] : []), ...(captions === undefined ? ['captions'] : [])];
    if (route === 'predicted' && missing.length > 0) {
      return [{ param: 'route', message: `predicted routes need ${missing.map((name) => `the input \`${name}\``).join(' and ')}`, hint: 'routes: STAGE.predictions of a stage with uses: classify, captions: preprocess.captions' }];
    }
    if (route === 'known' && routes !== undefined) return [{ input: 'routes', message: 'known routes are the labels', hint: 'leave the input out, or say route: predicted' }];
    if (typeof model !== 'string') return [];
    const embedded = (['train', 'validation', 'test'] as const).filter((split) => pairs[split] !== 0);
    const asked = { route, splits: embedded.length, captioned: embedded.filter((split) => !imagesOnly.includes(split)).length, classified: (tasks ?? Object.keys(classes)).length > 0 };
    const problem = await embedProblem(model, asked);
    return problem === null ? [] : [{ input: 'model', ...problem }];
  },
  async run({ params, inputs, outputs, report, signal, resources, backend: choice }) {
    const { hash64 } = await import('../src/study/data/random.ts');
    const { openImages } = await import('../src/study/data/image-shards.ts');
    const { splitNames } = await import('../src/study/data/splits.ts');
    const { writeEmbeddings } = await import('../src/study/eval/embedding-folder.ts');
    const { openTokens } = await import('../src/study/text/token-file.ts');
    const { openBackend } = await import('../src/study/nn/choose-backend.ts');
    const { checkModelFits, drawRows, PairedDataError, rowsOfSplit } = await import('../src/study/nn/data.ts');
    const { captionScores, promptScores } = await import('../src/study/nn/caption-scores.ts');
    const { embedder } = await import('../src/study/nn/embed.ts');
    const { checkAsked } = await import('../src/study/nn/given-models.ts');
    const { promptTokens } = await import('../src/study/nn/prompt-tokens.ts');
    const { routesOf } = await import('../src/study/nn/routing.ts');
    const { readPredictions } = await import('../src/study/eval/predictions.ts');
    const { captionsById } = await import('../src/study/text/captions.ts');
    const { embedPrompts } = await import('../src/study/nn/embed-prompts.ts');
    const { loadModel } = await import('../src/study/nn/model-folder.ts');
    const { attentionPairs, macsPerPair, modelSize, tokensPerPair } = await import('../src/study/nn/model-size.ts');
    const { textShape, wholeReading } = await import('../src/study/nn/reading.ts');

    const { config, training, weights, reading = wholeReading } = await loadModel(inputs.model);
    // Images are always seen whole, as patch dropout is for training alone.
    const asRead = { ...reading, text: params.read === 'whole' ? wholeReading.text : reading.text, image: wholeReading.image };
    const images = await openImages(inputs.images);
    try {
      const tokens = await openTokens(inputs.tokens);
      checkModelFits(config, reading.fit === undefined ? images : { resolution: config.image.resolution }, tokens);
      const chosen = splitNames.flatMap((split) => {
        const [all, asked] = [rowsOfSplit(images, tokens, split), params.pairs[split]];
        if (asked === 0) return [];
        if (all.length === 0) throw new PairedDataError(`the split "${split}" has no pairs to embed`);
        if (asked !== 'all' && all.length < asked) report.note(`the split "${split}" has ${all.length} pairs, not ${asked}`);
        return [{ rows: asked === 'all' ? all : drawRows(all, asked, params.seed, 'embed'), captioned: !params.imagesOnly.includes(split) }];
      });
      const rows = Uint32Array.from(chosen.flatMap((some) => [...some.rows]));
      if (rows.length === 0) throw new PairedDataError('pairs: asks for none of any split');
      const decodes = config.decoder !== undefined;
      const tasks = params.tasks ?? Object.keys(params.classes);
      const prompts = promptsOf(Object.fromEntries(tasks.map((task) => [task, params.classes[task]!])));
      checkAsked(config, { route: params.route, splits: chosen.length, captioned: chosen.filter(({ captioned }) => captioned).length, classified: prompts.length > 0 });
      const routes = params.route === 'known' ? null : routesOf(images, rows, config.adapter!.experts!, await readPredictions(inputs.routes!), await captionsById(inputs.captions!));
      // Labels lead where labels lead.
      const byLabel = ['image_route_accuracy', 'caption_route_accuracy'].map((metric) => ({ metric, value: 1 }));
      const routeFacts = config.adapter?.routing === 'hard' ? (routes?.facts ?? byLabel) : [];
      for (const { metric, value } of routeFacts) report.metric(metric, value);
      const backend = await openBackend(choice, { threads: resources.cpu, gpus: resources.gpus, note: report.note });
      report.platform({ backend: backend.label, threads: backend.threads, device: backend.device });

      const started = performance.now();
      const watch = (before: number) => ({
        signal,
        progress(some: number) {
          const done = before + some;
          report.progress(done / rows.length, { step: done, total: rows.length, rate: (1000 * done) / (performance.now() - started), unit: 'pairs' });
        },
      });
      const options = { batch: params.batch, reading: asRead, prior: params.prior, watch: watch(0) };
      /** Rows of a split at a time, with the modality that one side or the other is routed by. */
      const byTowers = async (source: ImageSource, captionsToo: boolean) => {
        const width = config.embedding;
        const result = { width, image: new Float32Array(rows.length * width), text: new Float32Array(rows.length * width) };
        const embed = embedder(backend, config, weights, source, tokens, Math.min(params.batch, rows.length), asRead);
        let before = 0;
        try {
          for (const part of chosen) {
            const { image, text } = captionsToo && part.captioned
              ? await embed.embed(part.rows, watch(before))
              : { image: await embed.embedImages(part.rows, watch(before)), text: new Float32Array(0) };
            result.image.set(image, before * width);
            result.text.set(text, before * width);
            before += part.rows.length;
          }
        } finally {
          embed.dispose();
        }
        return result;
      };
      const embedded = async (): Promise<Pick<StoredEmbeddings, 'width' | 'image' | 'text'> & { readonly prompts: Float32Array }> => {
        const none = new Float32Array(0);
        if (decodes && prompts.length === 0) return { ...(await captionScores(backend, config, weights, images, tokens, rows, options)), prompts: none };
        if (decodes) {
          const scored = await promptScores(backend, config, weights, images, promptTokens(tokens, prompts), rows, options);
          return { ...scored, text: new Float32Array(rows.length * scored.width) };
        }
        const found = await byTowers(routes?.caption ?? images, true);
        const { image } = routes === null ? found : await byTowers(routes.image, false);
        return { ...found, image, prompts: prompts.length === 0 ? none : await embedPrompts(backend, config, weights, tokens, prompts) };
      };
      const found = await embedded();
      const captioned = chosen.flatMap((part) => Array.from(part.rows, () => part.captioned));
      const size = modelSize(config);
      await writeEmbeddings(outputs.embeddings, {
        kind: decodes ? 'scores' : 'embeddings',
        width: found.width,
        // Log-likelihoods are logits as they are.
        logitScale: decodes ? 1 : (config.logitFactor ?? 1) * Math.exp(weights.get('logit_scale')![0]!),
        rows: Array.from(rows, (row, index) => {
          const { id, group, split, modality } = images.rows[row]!;
          const caption = captioned[index] ? hash64(tokens.ids.subarray(row * tokens.context, (row + 1) * tokens.context).join()).toString(16) : null;
          return { id, group, split, modality, caption };
        }),
        image: found.image,
        text: found.text,
        prompts: { texts: prompts, values: found.prompts },
        facts: [
          ...routeFacts,
          { metric: 'parameters', value: size.parameters },
          { metric: 'non_embedding_parameters', value: size.nonEmbedding },
          { metric: 'trainable_parameters', value: size.trainable },
          { metric: 'macs_per_pair', value: macsPerPair(config, asRead) },
          { metric: 'text_tokens', value: tokensPerPair(config, asRead).text },
          { metric: 'attention_pairs', value: attentionPairs(config, textShape(config, asRead.text).tokens) * textShape(config, asRead.text).sequences },
          { metric: 'flops', value: training.flops },
          { metric: 'pairs_seen', value: training.pairs_seen },
          ...(training.text_tokens_seen === undefined ? [] : [{ metric: 'text_tokens_seen', value: training.text_tokens_seen }]),
          { metric: 'unique_pairs', value: training.unique_pairs },
          { metric: 'steps', value: training.steps },
        ],
      });
      const seconds = (performance.now() - started) / 1000;
      report.note(`${rows.length.toLocaleString('en')} pairs and ${prompts.length} prompts, ${found.width} wide, in ${seconds.toFixed(1)} s`);
    } finally {
      images.close();
    }
  },
});
