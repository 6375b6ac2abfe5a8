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
       * `zero-shot`: the nearest mean of a class's prompts, or of an encoder–decoder's scores the likeliest. `linear-probe`: logistic regression on training images. `tip-adapter`: prompts,
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
    /** One or the other: embeddings of images and prompts, or an encoder–decoder's scores of prompts for images; the stage embed makes both. */
    embeddings: 'folder?',
    scores: 'folder?',
    /** Captions by id, as preprocess writes them, for classes that are read off captions. */
    captions: 'file?',
  },
  outputs: { metrics: 'metrics', predictions: 'file' },
  async check({ params: { classes, task, method }, inputs: { embeddings, scores, captions } }) {
    if ((embeddings === undefined) === (scores === undefined)) {
      return [{ param: 'method', message: embeddings === undefined ? 'there is nothing to classify by: the stage has neither of the inputs `embeddings` and `scores`' : 'the inputs `embeddings` and `scores` are of two models', hint: 'give one of them, which the stage embed makes' }];
    }
    if (scores !== undefined && method !== 'zero-shot') return [{ param: 'method', message: `${method} needs embeddings of images, and an encoder–decoder's \`scores\` are none`, hint: 'take method: zero-shot' }];
    if (classes[task]?.from === 'caption' && captions === undefined) return [{ param: 'task', message: `the classes of ${task} are read off captions, and the stage has no input \`captions\``, hint: 'captions: preprocess.captions' }];
    return [];
  },
  async run({ params, inputs, outputs, report }) {
    const { metricLines } = await import('../src/study/metric-lines.ts');
    const { balancedAccuracyInterval } = await import('../src/study/eval/class-bootstrap.ts');
    const { labelsOf, taskPrompts } = await import('../src/study/eval/classification-tasks.ts');
    const { EmbeddingFolderError, embeddingsOfSplit, readEmbeddings } = await import('../src/study/eval/embedding-folder.ts');
    const { classLogits, fitLinearProbe, penaltiesOf } = await import('../src/study/eval/linear-probe.ts');
    const { drawCache, searchTip, tipLogits, tipTraining, trainKeys } = await import('../src/study/eval/tip-adapter.ts');
    const { classEmbeddings, classScores, likelihoodScores, rightShares, scoreClasses } = await import('../src/study/eval/zero-shot.ts');
    const { writePredictions } = await import('../src/study/eval/predictions.ts');
    const { captionsById } = await import('../src/study/text/captions.ts');

    const given = inputs.embeddings ?? inputs.scores;
    if (given === undefined) throw new EmbeddingFolderError('there is nothing to classify by: give the input embeddings, or of an encoder–decoder the input scores');
    const stored = await readEmbeddings(given);
    if (stored.kind === 'scores' && inputs.scores === undefined) throw new EmbeddingFolderError('an encoder–decoder embeds no images to classify: give its scores of prompts as the input scores');
    if (stored.kind === 'embeddings' && inputs.embeddings === undefined) throw new EmbeddingFolderError('the input scores holds embeddings: give them as the input embeddings');
    const { width } = stored;
    const task = params.classes[params.task]!;
    const names = Object.keys(task.classes);
    const classes = names.length;
    if (task.from === 'caption' && inputs.captions === undefined) throw new EmbeddingFolderError(`the classes of ${params.task} are read off captions: give the input captions, as preprocess writes it`);
    const captions = inputs.captions === undefined ? new Map<string, string>() : await captionsById(inputs.captions);
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
      return { features, places: kept, labels: Int32Array.from(kept, (row) => labels[row]!), rows: kept.map((row) => own.rows[row]!), embedded: own.count };
    };
    const wanted = taskPrompts(task);
    const promptClasses = wanted.map(({ of }) => of);
    const placeOf = ({ text }: { readonly text: string }): number => {
      const at = stored.prompts.texts.indexOf(text);
      if (at < 0) throw new EmbeddingFolderError(`the prompt "${text}" is not ${stored.kind === 'scores' ? 'scored' : 'embedded'}: give the stage embed the same classes`);
      return at;
    };
    const prompts = (): Float64Array => {
      const values = new Float32Array(wanted.length * width);
      wanted.map(placeOf).forEach((at, index) => values.set(stored.prompts.values.subarray(at * width, (at + 1) * width), index * width));
      return classEmbeddings(values, width, promptClasses, classes);
    };
    const all = embeddingsOfSplit(stored, params.split);
    const test = labelled(params.split);
    const { method, shots, scale, epochs, learningRate, seed } = params;
    /** Scores of all embedded images of the split, `[images, classes]`, whether they have a class or not. */
    const decided = (): { scores: Float64Array; chosen: { metric: string; value: number }[] } => {
      if (stored.kind === 'scores' && method !== 'zero-shot') throw new EmbeddingFolderError(`${method} needs embeddings of images, and an encoder–decoder has none: take method: zero-shot`);
      if (stored.kind === 'scores') return { scores: likelihoodScores(all.image, wanted.map(placeOf), promptClasses, { width, classes }), chosen: [] };
      if (method === 'zero-shot') return { scores: classScores(all.image, prompts(), width), chosen: [] };
      const [train, validation] = [labelled('train'), labelled('validation')];
      if (method === 'linear-probe') {
        const probe = fitLinearProbe(train, validation, { width, classes, penalties: penaltiesOf(params.penalties) });
        const chosen = [{ metric: 'penalty', value: probe.penalty }, { metric: 'validation_accuracy', value: probe.validationAccuracy }, { metric: 'training_images', value: train.labels.length }];
        return { scores: classLogits(probe, all.image, width), chosen };
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
      return { scores: tipLogits(problem, found, all.image), chosen };
    };
    const { scores: ofAll, chosen } = decided();
    const scores = Float64Array.from(test.places.flatMap((row) => [...ofAll.subarray(row * classes, (row + 1) * classes)]));
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
    const placeOfTest = new Map(test.places.map((row, index) => [row, index]));
    await writePredictions(
      outputs.predictions,
      all.rows.map(({ id, group }, row) => {
        const own = ofAll.subarray(row * classes, (row + 1) * classes);
        const index = placeOfTest.get(row);
        return { id, group, label: index === undefined ? null : names[test.labels[index]!]!, predicted: names[own.indexOf(Math.max(...own))]!, right: index === undefined ? null : right[index]! };
      }),
    );
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    report.note(`${params.task} by ${method}: balanced accuracy ${percent(result.balancedAccuracy)} (${percent(low)} to ${percent(high)}), chance ${percent(result.chance)}, ${test.labels.length} images`);
  },
});
