import { mentionsFluoroscopy, mentionsUltrasound, modalityNames, modalityOf, modalityReason } from './modality.ts';
import type { ModalitySet } from './modality.ts';
import type { LeftOut, Pair } from './pairs.ts';
import { drawIds } from './random.ts';
import { splitNames } from './splits.ts';

/** What a row's modality is read from, in this order: the source's label, the caption's words, the concept ids. */
export type Evidence = 'source' | 'caption' | 'concepts';
export const evidenceNames: readonly Evidence[] = ['source', 'caption', 'concepts'];

export interface FilterOptions {
  readonly set: ModalitySet;
  /** Whose size the set `random` has. */
  readonly like: 'permissive' | 'strict';
  /** Whether rows of angiography alone stay: they are fluoroscopic acquisitions, and a decision of their own. */
  readonly angiography: boolean;
  readonly evidence: readonly Evidence[];
  readonly seed: number;
}

export interface Judged {
  readonly modality: string;
  /** What said so; `none` where nothing names a modality. */
  readonly by: Evidence | 'none';
}

/** A row's modality by the evidence that counts. Concepts only add ultrasound and fluoroscopy: of others they are too noisy. */
export function judge(pair: Pick<Pair, 'caption' | 'concepts' | 'modality'>, evidence: readonly Evidence[]): Judged {
  if (evidence.includes('source') && pair.modality !== null) return { modality: pair.modality, by: 'source' };
  const concepts = evidence.includes('concepts') ? (pair.concepts ?? []) : [];
  const worded = evidence.includes('caption') ? modalityOf(pair.caption) : 'unknown';
  if (worded === 'ultrasound' || worded === 'fluoroscopy') return { modality: worded, by: 'caption' };
  if (mentionsUltrasound('', concepts)) return { modality: 'ultrasound', by: 'concepts' };
  if (mentionsFluoroscopy('', concepts)) return { modality: 'fluoroscopy', by: 'concepts' };
  return { modality: worded, by: worded === 'unknown' ? 'none' : 'caption' };
}

export interface Filtered {
  readonly kept: readonly Pair[];
  /** In the order of the pairs, those that were to be dropped already first. */
  readonly dropped: readonly LeftOut[];
  /** Numbers by name: what is kept and dropped by reason, modality, evidence and split; the same names for every set. */
  readonly counts: Readonly<Record<string, number>>;
}

const word = (name: string): string => name.replace(/\W+/g, '_');

/**
 * Which pairs a set leaves out, and why. Rows in `already` (leaks) are out of every set. The set `random` drops as many rows of
 * each of the source's splits as the set that it is `like` does, any of them: the control for being smaller.
 */
export function filterPairs(pairs: readonly Pair[], already: readonly LeftOut[], options: FilterOptions): Filtered {
  const { set, like, angiography, evidence, seed } = options;
  const gone = new Set(already.map(row => row.id));
  const here = new Set(pairs.map(pair => pair.id));
  const stranger = already.find(row => !here.has(row.id));
  if (stranger !== undefined) throw new Error(`the list of rows to drop names ${stranger.id}, which is none of these ${pairs.length} pairs: was it made of another source?`);
  const judged = pairs.filter(pair => !gone.has(pair.id)).map(pair => ({ pair, ...judge(pair, evidence) }));
  const reasonIn = (which: 'all' | 'permissive' | 'strict', modality: string): string | undefined => modalityReason(modality, which, angiography);
  const reasons = new Map<string, string>();
  if (set === 'random') {
    for (const split of splitNames) {
      const rows = judged.filter(row => row.pair.split === split);
      const count = rows.filter(row => reasonIn(like, row.modality) !== undefined).length;
      for (const id of drawIds(rows.map(row => row.pair.id), count, 'size-matched', seed)) reasons.set(id, `left out at random, as many as the ${like} set drops`);
    }
  } else {
    for (const { pair, modality } of judged) {
      const reason = reasonIn(set, modality);
      if (reason !== undefined) reasons.set(pair.id, reason);
    }
  }
  const out = judged.filter(({ pair }) => reasons.has(pair.id));
  const kept = judged.filter(({ pair }) => !reasons.has(pair.id));
  const counts: Record<string, number> = { pairs: pairs.length, kept: kept.length, dropped: pairs.length - kept.length, dropped_share: pairs.length === 0 ? 0 : 1 - kept.length / pairs.length, dropped_leak: already.length, dropped_modality: set === 'random' ? 0 : out.length, dropped_random: set === 'random' ? out.length : 0 };
  for (const split of splitNames) counts[`kept_${split}`] = kept.filter(({ pair }) => pair.split === split).length;
  for (const by of [...evidenceNames, 'none']) counts[`dropped_by_${by}`] = out.filter(row => row.by === by).length;
  const names = [...new Set([...modalityNames, ...judged.map(row => row.modality)])];
  for (const name of names) counts[`dropped_${word(name)}`] = out.filter(row => row.modality === name).length;
  for (const name of names) counts[`kept_${word(name)}`] = kept.filter(row => row.modality === name).length;
  return {
    kept: kept.map(row => row.pair),
    dropped: [...already, ...out.map(({ pair, modality, by }): LeftOut => ({ id: pair.id, kind: set === 'random' ? 'random' : 'modality', reason: `${reasons.get(pair.id)}${set === 'random' || by === 'none' ? '' : ` (${modality} by ${by === 'source' ? "the source's label" : `its ${by}`})`}` }))],
    counts,
  };
}
