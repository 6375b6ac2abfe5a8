/** The predictions that the stage classify writes: JSON Lines, one for each embedded image of the split. */
import { readFile } from 'node:fs/promises';
import { writeJsonLines } from '../data/pairs.ts';
import { EmbeddingFolderError } from './embedding-folder.ts';

export interface Prediction {
  readonly id: string;
  readonly group: string;
  /** Its class; null where it has none of them. */
  readonly label: string | null;
  readonly predicted: string;
  /** How right that is: 1, 0, or the share of a tie; null without a label. */
  readonly right: number | null;
}

export const writePredictions = (path: string, predictions: readonly Prediction[]): Promise<void> => writeJsonLines(path, predictions);

/** Predicted class by id. @throws EmbeddingFolderError naming the line that is no prediction */
export async function readPredictions(path: string): Promise<Map<string, string>> {
  const predicted = new Map<string, string>();
  for (const [index, line] of (await readFile(path, 'utf8')).split('\n').entries()) {
    if (line === '') continue;
    let row: Partial<Prediction> | null;
    try {
      row = JSON.parse(line) as Partial<Prediction> | null;
    } catch {
      row = null;
    }
    if (typeof row?.id !== 'string' || typeof row.predicted !== 'string') throw new EmbeddingFolderError(`${path}:${index + 1}: no prediction, which has id and predicted: are these the predictions of the stage classify?`);
    predicted.set(row.id, row.predicted);
  }
  return predicted;
}
