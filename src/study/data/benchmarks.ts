import { benchmarkCandidates } from './benchmark-candidates.ts';
import type { BenchmarkCandidate } from './benchmark-candidates.ts';
import type { ClusterFile } from './leaks.ts';
import { inWords, markdownTable, percent } from './markdown.ts';
import { mentionsFluoroscopy, mentionsUltrasound, modalityOf } from './modality.ts';
import { countBy, readPairs } from './pairs.ts';
import type { Pair } from './pairs.ts';
import { readQuestions } from './questions.ts';
import type { Question } from './questions.ts';

/** What is at hand of one source: its pairs and its questions. */
export interface AtHand {
  readonly source: string;
  readonly pairs: readonly Pair[];
  readonly questions: readonly Question[];
}

export interface MeasuredBenchmark {
  /** Images that are at hand. */
  readonly images: number;
  readonly questions: number;
  /** Images, at hand or only asked about, by modality: the source's label, else the caption rule. */
  readonly modalities: Readonly<Record<string, number>>;
  readonly labelled: number;
  /** Texts (captions that the set itself has, questions with answers) and how many of them speak of ultrasound or fluoroscopy. */
  readonly texts: number;
  readonly ultrasoundTexts: number;
  readonly fluoroscopyTexts: number;
}

/** Sources whose captions the reader makes of labels say nothing that the label does not. */
const saysItself = (source: string): boolean => !/^(vqa-rad|slake|\w*mnist(3d)?)$/.test(source);

/** Reads folders of pairs, which may hold several sources, and files of questions of one source each. */
export async function readAtHand(given: readonly { readonly source?: string; readonly pairs?: string | undefined; readonly questions?: string | undefined }[]): Promise<AtHand[]> {
  const found = new Map<string, { pairs: Pair[]; questions: Question[] }>();
  const of = (source: string): { pairs: Pair[]; questions: Question[] } => {
    const entry = found.get(source) ?? { pairs: [], questions: [] };
    found.set(source, entry);
    return entry;
  };
  for (const { source, pairs, questions } of given) {
    if (pairs !== undefined) for (const pair of await readPairs(pairs)) of(pair.source).pairs.push(pair);
    if (questions !== undefined && source !== undefined) of(source).questions.push(...(await readQuestions(questions)));
  }
  return [...found].map(([source, entry]) => ({ source, ...entry }));
}

/** Counts modalities, and what the texts speak of, over all sources of a benchmark. */
export function measureBenchmark(atHand: readonly AtHand[]): MeasuredBenchmark {
  const modality = new Map<string, string>();
  const texts: string[] = [];
  let labelled = 0;
  for (const { source, pairs, questions } of atHand) {
    const label = (id: string, said: string | null, otherwise: () => string): void => {
      const key = `${source} ${id}`;
      if (modality.has(key)) return;
      modality.set(key, said ?? otherwise());
      if (said !== null) labelled += 1;
    };
    for (const pair of pairs) label(pair.id, pair.modality, () => modalityOf(pair.caption, pair.concepts));
    for (const question of questions) label(question.image, question.modality, () => 'unknown');
    if (saysItself(source)) texts.push(...pairs.map(pair => pair.caption));
    texts.push(...questions.map(row => `${row.question} ${row.answer}`));
  }
  return {
    labelled,
    images: atHand.reduce((sum, { pairs }) => sum + pairs.length, 0),
    questions: atHand.reduce((sum, { questions }) => sum + questions.length, 0),
    modalities: countBy([...modality.values()], name => name),
    texts: texts.length,
    ultrasoundTexts: texts.filter(text => mentionsUltrasound(text)).length,
    fluoroscopyTexts: texts.filter(text => mentionsFluoroscopy(text)).length,
  };
}

/** How many of a benchmark's images the training set holds too; undefined where they were not compared, or are what is trained on. */
export function leaksInto(sources: readonly string[], clusters: ClusterFile | undefined): { readonly images: number; readonly testImages: number } | undefined {
  if (clusters === undefined || !sources.some(source => source in clusters.tests) || sources.some(source => source in clusters.training)) return undefined;
  const found = clusters.clusters.filter(rows => rows.some(row => row.source in clusters.training)).flatMap(rows => rows.filter(row => sources.includes(row.source)));
  return { images: found.length, testImages: found.filter(row => row.split === 'test').length };
}

function measuredShare(name: string, texts: number, measured: MeasuredBenchmark): string {
  const images = Object.values(measured.modalities).reduce((sum, count) => sum + count, 0);
  const count = measured.modalities[name] ?? 0;
  const how = measured.labelled === images ? 'by label' : measured.labelled === 0 ? 'by the caption rule' : 'by label or caption';
  const spoken = measured.texts === 0 || measured.labelled === 0 ? '' : `; ${inWords(texts)} of ${inWords(measured.texts)} texts speak of it`;
  return `${percent(count / images)}: ${inWords(count)} of ${inWords(images)} ${how}${spoken}`;
}

function rowOf(candidate: BenchmarkCandidate, measured: MeasuredBenchmark | undefined, clusters: ClusterFile | undefined): string[] {
  const leaks = leaksInto(candidate.sources, clusters);
  const trained = clusters !== undefined && candidate.sources.some(source => source in clusters.training);
  return [
    candidate.name,
    measured === undefined ? candidate.size : `${candidate.size}; at hand ${[measured.images > 0 || measured.questions === 0 ? `${inWords(measured.images)} images` : '', measured.questions > 0 ? `${inWords(measured.questions)} questions` : ''].filter(text => text !== '').join(', ')}`,
    measured === undefined ? candidate.modalities : Object.entries(measured.modalities).map(([name, count]) => `${name} ${inWords(count)}`).join(', '),
    measured === undefined ? `not measured; published: ${candidate.published}` : measuredShare('ultrasound', measured.ultrasoundTexts, measured),
    measured === undefined ? 'not measured' : measuredShare('fluoroscopy', measured.fluoroscopyTexts, measured),
    candidate.licence,
    trained ? 'it is what is trained on' : leaks === undefined ? `not compared${measured !== undefined && measured.images === 0 ? ': its images are not at hand' : ''}` : leaks.images === 0 ? 'no image' : `${inWords(leaks.images)} images, ${inWords(leaks.testImages)} of them of its test split`,
  ];
}

const uses: readonly (readonly [BenchmarkCandidate['use'], string, string])[] = [
  ['yes', 'Without ultrasound and fluoroscopy', 'These hold neither, by their labels or as published.'],
  ['filtered', 'After filtering', 'These hold both, and say enough to leave them out.'],
  ['no', 'Not for this', 'Looked at, and left out.'],
];

/**
 * The page of all candidates; what is at hand is counted, of the others what is published is told.
 *
 * @param clusters of the training set and the benchmarks
 * @param medpix of MedPix as training set and VQA-RAD
 */
export function benchmarksPage(atHand: readonly AtHand[], clusters: ClusterFile | undefined, medpix: ClusterFile | undefined): string {
  const of = ({ sources }: BenchmarkCandidate): MeasuredBenchmark | undefined => {
    const here = atHand.filter(({ source }) => sources.includes(source));
    return here.length === 0 ? undefined : measureBenchmark(here);
  };
  const training = clusters === undefined ? [] : Object.entries(clusters.training).map(([source, count]) => `${inWords(count)} images of ${source}`);
  const parts = [
    '# Benchmarks without ultrasound and fluoroscopy',
    'Made by the stage `list-benchmarks` of `pipelines/data.yaml`: what is at hand is counted, of the rest is told what is published. Of the texts, those count that speak of the modality in any way, as a comparison too.',
    clusters === undefined
      ? 'Nothing was compared with a training set.'
      : `Compared with the training set (${training.join(', ')}) were ${Object.entries(clusters.tests).filter(([source]) => !(source in clusters.training)).map(([source, count]) => `${inWords(count)} images of ${source}`).join(', ') || 'no others'}: by file, by id, and by perceptual hash up to ${clusters.distance} of 256 bits ([how](data.md#leaks)). An image that leaks is left out of training.`,
  ];
  const shared = leaksInto(['vqa-rad'], medpix);
  if (shared !== undefined) {
    parts.push(`MedPix and VQA-RAD show ${inWords(shared.images)} images in common, ${inWords(shared.testImages)} of them of VQA-RAD's test split: who trains on MedPix leaves them out before answering VQA-RAD's questions.`);
  }
  for (const [use, title, said] of uses) {
    const candidates = benchmarkCandidates.filter(candidate => candidate.use === use);
    parts.push(`## ${title}`, said,
      markdownTable(['data set', 'size', 'modalities', 'ultrasound', 'fluoroscopy', 'licence', 'in the training set'], candidates.map(candidate => rowOf(candidate, of(candidate), clusters))),
      markdownTable(['data set', 'how to get it', 'what it can test'], candidates.map(({ name, get, tests }) => [name, get, tests])));
  }
  return `${parts.join('\n\n')}\n`;
}
