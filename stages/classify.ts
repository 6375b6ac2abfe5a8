import { writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { defineStage } from '../src/stage.ts';
import { classificationTasks } from '../src/study/eval/classification-tasks.ts';

export const stage = defineStage({
  summary: 'Classify embedded images: by prompts alone, a linear probe, or Tip-Adapter, with intervals over groups.',
  params: z
    .strictObject({
      /** What there is to classify; the same as the stage embed is given. */
      classes: classificationTasks,
      /** Which of it. */
      task: z.string(),
      /**
       * `zero-shot`: the nearest mean of a class's prompts. `linear-probe`: logistic regression on training images. `tip-adapter`: prompts,
       * and what the image is like among a few training images; with `-f` these are trained.
       */
      method: z.enum(['zero-shot', 'linear-probe', 'tip-adapter', 'tip-adapter-f']),
      split: z.enum(['train', 'validation', 'test']).default('test'),
      /** Penalties from 1e-6 to 1e6 that the linear probe chooses among; CLIP's protocol has 45. */
      penalties: z.int().min(2).default(45),
      /** Training images of each class that Tip-Adapter keeps. */
      shots: z.int().min(1).default(16),
      /** Factor of the prompts' cosines in Tip-Adapter; CLIP's own logit scale. */
      scale: z.number().positive().default(100),
      /** Passes over the other training images with which `tip-adapter-f` trains those it keeps. */
      epochs: z.int().min(1).default(20),
      learningRate: z.number().positive().default(1e-3),
      seed: z.int().default(1),
      /** Draws of groups for the interval. */
      replicates: z.int().min(1).default(1000),
      level: z.number().gt(0).lt(1).default(0.95),
    })
    .superRefine(({ classes, task }, context) => {
      if (classes[task] === undefined) context.addIssue({ code: 'custom', path: ['task'], message: `"${task}" is none of the classes: ${Object.keys(classes).join(', ')}` });
    }),
  inputs: {
    embeddings: 'folder',
    /** Captions by id, as preprocess writes them, for classes that are read off captions. */
    captions: 'file?',
  },
  outputs: { metrics: 'metrics', predictions: 'file' },
  async run({ params, inputs, outputs, report }) {
    const { writeJsonLines } = await import('../src/study/data/pairs.ts');
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { balancedAccuracyInterval } = await import('../src/study/eval/class-bootstrap.ts');
    const { labelsOf, taskPrompts } = await import('../src/study/eval/classification-tasks.ts');
    const { EmbeddingFolderError, embeddingsOfSplit, readEmbeddings } = await import('../src/study/eval/embedding-folder.ts');
    const { classLogits, fitLinearProbe, penaltiesOf } = await import('../src/study/eval/linear-probe.ts');
    const { drawCache, searchTip, tipLogits, tipTraining, trainKeys } = await import('../src/study/eval/tip-adapter.ts');
    const { classEmbeddings, classScores, rightShares, scoreClasses } = await import('../src/study/eval/zero-shot.ts');
    const { readCaptions } = await import('../src/study/text/captions.ts');

    const stored = await readEmbeddings(inputs.embeddings);
    if (stored.kind === 'scores') throw new EmbeddingFolderError('an encoder–decoder embeds no images to classify: its captions are scored');
    const { width } = stored;
    const task = params.classes[params.task]!;
    const names = Object.keys(task.classes);
    const classes = names.length;
    if (task.from === 'caption' && inputs.captions === undefined) throw new EmbeddingFolderError(`the classes of ${params.task} are read off captions: give the input captions, as preprocess writes it`);
    const captions = new Map((inputs.captions === undefined ? [] : await readCaptions(inputs.captions)).map(({ id, caption }) => [id, caption]));
    const captionOf = (id: string): string => {
      const caption = captions.get(id);
      if (caption !== undefined) return caption;
      throw new EmbeddingFolderError(`the captions have no ${id}: they come from other data than the embeddings`);
    };
    /** Images of a split that have a class. */
    const labelled = (split: 'train' | 'validation' | 'test') => {
      const own = embeddingsOfSplit(stored, split);
      const labels = labelsOf(task, own.rows, captionOf);
      const kept = [...labels.keys()].filter((row) => labels[row]! >= 0);
      if (kept.length === 0) throw new EmbeddingFolderError(`of ${own.count} embedded images of the split "${split}" none has a class of ${params.task}: ask embed for them, pairs: { ${split}: all }`);
      const features = new Float32Array(kept.length * width);
      kept.forEach((row, index) => features.set(own.image.subarray(row * width, (row + 1) * width), index * width));
      return { features, labels: Int32Array.from(kept, (row) => labels[row]!), rows: kept.map((row) => own.rows[row]!), embedded: own.count };
    };
    const prompts = (): Float64Array => {
      const wanted = taskPrompts(task);
      const values = new Float32Array(wanted.length * width);
      wanted.forEach(({ text }, index) => {
        const at = stored.prompts.texts.indexOf(text);
        if (at < 0) throw new EmbeddingFolderError(`the prompt "${text}" is not embedded: give the stage embed the same classes`);
        values.set(stored.prompts.values.subarray(at * width, (at + 1) * width), index * width);
      });
      return classEmbeddings(values, width, wanted.map(({ of }) => of), classes);
    };
    const test = labelled(params.split);
    const { method, shots, scale, epochs, learningRate, seed } = params;
    const decided = (): { scores: Float64Array; chosen: { metric: string; value: number }[] } => {
      if (method === 'zero-shot') return { scores: classScores(test.features, prompts(), width), chosen: [] };
      const [train, validation] = [labelled('train'), labelled('validation')];
      if (method === 'linear-probe') {
        const probe = fitLinearProbe(train, validation, { width, classes, penalties: penaltiesOf(params.penalties) });
        const chosen = [{ metric: 'penalty', value: probe.penalty }, { metric: 'validation_accuracy', value: probe.validationAccuracy }, { metric: 'training_images', value: train.labels.length }];
        return { scores: classLogits(probe, test.features, width), chosen };
      }
      const problem = { width, classes, scale, prompts: prompts() };
      const drawn = drawCache(train, width, classes, shots, seed);
      const plain = searchTip(problem, drawn, validation);
      // An image that is a key itself has nothing to learn from: the others are trained on, where there are any.
      const rows = drawn.rest.length > 0 ? drawn.rest : [...train.labels.keys()];
      const others = { features: Float32Array.from(rows.flatMap((row) => [...train.features.subarray(row * width, (row + 1) * width)])), labels: rows.map((row) => train.labels[row]!) };
      const trained = method === 'tip-adapter' ? null : trainKeys(problem, plain, others, { ...tipTraining, epochs, learningRate, seed });
      trained?.losses.forEach((loss, epoch) => report.metric('key_loss', loss, epoch));
      const found = trained === null ? plain : searchTip(problem, trained.cache, validation);
      const chosen = [
        { metric: 'alpha', value: found.alpha },
        { metric: 'beta', value: found.beta },
        { metric: 'validation_accuracy', value: found.validationAccuracy },
        { metric: 'training_images', value: drawn.labels.length + (trained === null ? 0 : drawn.rest.length) },
        { metric: 'trained_parameters', value: trained === null ? 0 : drawn.keys.length },
      ];
      return { scores: tipLogits(problem, found, test.features), chosen };
    };
    const { scores, chosen } = decided();
    const result = scoreClasses(scores, test.labels, classes);
    const right = rightShares(scores, test.labels, classes);
    const { replicates, level } = params;
    const [low, high] = balancedAccuracyInterval(right, test.labels, test.rows.map(({ group }) => group), { classes, replicates, level, seed });
    const metrics = [
      { metric: 'balanced_accuracy', value: result.balancedAccuracy },
      { metric: 'balanced_accuracy_low', value: low },
      { metric: 'balanced_accuracy_high', value: high },
      { metric: 'accuracy', value: result.accuracy },
      { metric: 'macro_auc', value: result.macroAuc },
      { metric: 'chance', value: result.chance },
      ...chosen,
      { metric: 'classes', value: classes },
      { metric: 'classified', value: test.labels.length },
      { metric: 'without_class', value: test.embedded - test.labels.length },
      ...stored.facts,
    ];
    for (const { metric, value } of metrics) report.metric(metric, value);
    await writeFile(outputs.metrics, metricLines(metrics));
    await writeJsonLines(
      outputs.predictions,
      test.rows.map(({ id, group }, row) => {
        const own = scores.subarray(row * classes, (row + 1) * classes);
        return { id, group, label: names[test.labels[row]!], predicted: names[own.indexOf(Math.max(...own))], right: right[row] };
      }),
    );
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    report.note(`${params.task} by ${method}: balanced accuracy ${percent(result.balancedAccuracy)} (${percent(low)} to ${percent(high)}), chance ${percent(result.chance)}, ${test.labels.length} images`);
  },
});
