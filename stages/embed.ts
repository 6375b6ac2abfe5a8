import { z } from 'zod';
import { defineStage } from '../src/stage.ts';
import { classificationTasks, promptsOf } from '../src/study/eval/classification-tasks.ts';

/** Pairs of a split, drawn by the seed, or `all` of them in their order. */
const pairs = z.union([z.literal('all'), z.int().min(0)]);

export const stage = defineStage({
  summary: 'Embed the images and captions of a split, and prompts, once: evaluation needs no more of the model.',
  params: z.strictObject({
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
    /** Classes whose prompts are embedded too, for the stage `classify`. */
    classes: classificationTasks.default({}),
  }),
  inputs: { model: 'folder', images: 'folder', tokens: 'folder' },
  outputs: { embeddings: 'folder' },
  async run({ params, inputs, outputs, report, signal, resources, backend: choice }) {
    const { hash64 } = await import('../src/study/data/random.ts');
    const { openImages } = await import('../src/study/data/image-shards.ts');
    const { splitNames } = await import('../src/study/data/splits.ts');
    const { writeEmbeddings } = await import('../src/study/eval/embedding-folder.ts');
    const { openTokens } = await import('../src/study/text/token-file.ts');
    const { openBackend } = await import('../src/study/nn/choose-backend.ts');
    const { checkModelFits, drawRows, PairedDataError, rowsOfSplit } = await import('../src/study/nn/data.ts');
    const { captionScores } = await import('../src/study/nn/caption-scores.ts');
    const { embedder } = await import('../src/study/nn/embed.ts');
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
      if (decodes && (chosen.length > 1 || !chosen[0]!.captioned)) throw new PairedDataError('an encoder–decoder scores each caption for each image of one split: ask for pairs of one');
      const prompts = promptsOf(params.classes);
      if (decodes && prompts.length > 0) throw new PairedDataError('an encoder–decoder scores captions and embeds none: leave classes out');
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
      const embedded = async () => {
        if (decodes) return captionScores(backend, config, weights, images, tokens, rows, { batch: params.batch, reading: asRead, prior: params.prior, watch: watch(0) });
        const width = config.embedding;
        const result = { width, image: new Float32Array(rows.length * width), text: new Float32Array(rows.length * width) };
        const embed = embedder(backend, config, weights, images, tokens, Math.min(params.batch, rows.length), asRead);
        let before = 0;
        try {
          for (const part of chosen) {
            const { image, text } = part.captioned
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
      const found = await embedded();
      const captioned = chosen.flatMap((part) => Array.from(part.rows, () => part.captioned));
      const values = prompts.length === 0 ? new Float32Array(0) : await embedPrompts(backend, config, weights, tokens, prompts);
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
        prompts: { texts: prompts, values },
        facts: [
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
