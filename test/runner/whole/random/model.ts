/**
 * Random pipelines for whole-program tests. A project is plain data: what its files hold and which stages it has. Stages
 * name what they read by number, resolved against what there is, so that any random data make a sound pipeline and any
 * part of it can be left out when a failure is made smaller.
 */
import fc from 'fast-check';

export interface StageSeed {
  /** What it reads: numbers into what it may read. */
  readonly reads: readonly number[];
  readonly shape: 'single' | 'matrix' | 'each';
  readonly param: 'x' | 'y' | null;
  /** Part of the command. */
  readonly salt: number;
  /** It only counts lines, so that different inputs often make the same output. */
  readonly counts: boolean;
  /** Its output is a folder; for single stages only. */
  readonly folder: boolean;
  /** A stage that only has to come first. */
  readonly needs: number | null;
  readonly renamed: number;
}

export interface Project {
  readonly stages: readonly StageSeed[];
  readonly params: { readonly x: number; readonly y: number; readonly sizes: readonly number[] };
  /** `--set x=…`, or null. */
  readonly set: number | null;
  /** Path below the root → version of its bytes; always the same length. */
  readonly files: Readonly<Record<string, number>>;
  readonly comment: number;
  readonly reversed: boolean;
}

/** What a stage reads, resolved. Numbers are indices of earlier stages. */
export type Read =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder' }
  | { readonly kind: 'glob' }
  | { readonly kind: 'output'; readonly stage: number }
  | { readonly kind: 'gather'; readonly stage: number }
  | { readonly kind: 'pick'; readonly stage: number };

export interface Stage {
  readonly name: string;
  readonly seed: StageSeed;
  /** Whether it has one cell for each of `params.sizes`. */
  readonly pointed: boolean;
  /** The stage whose points it takes over, with shape `each`. */
  readonly each: number | null;
  readonly folder: boolean;
  readonly reads: readonly Read[];
  readonly needs: number | null;
}

/** Stages with names, and what their numbers stand for. */
export function stagesOf(project: Project): Stage[] {
  const stages: Stage[] = [];
  for (const [index, seed] of project.stages.entries()) {
    const earlier = [...stages.entries()];
    const withPoints = earlier.filter(([, stage]) => stage.pointed).map(([number]) => number);
    const pointed = seed.shape !== 'single';
    const choices: Read[] = [{ kind: 'file', path: 'data/a.txt' }, { kind: 'file', path: 'data/b.txt' }, { kind: 'folder' }, { kind: 'glob' }];
    for (const [number, stage] of earlier) {
      if (!stage.pointed || pointed) choices.push({ kind: 'output', stage: number });
      if (stage.pointed) choices.push({ kind: 'gather', stage: number }, { kind: 'pick', stage: number });
    }
    stages.push({
      name: seed.renamed === 0 ? `s${index}` : `s${index}n${seed.renamed}`,
      seed,
      pointed,
      each: seed.shape === 'each' && withPoints.length > 0 ? withPoints[seed.salt % withPoints.length]! : null,
      folder: seed.folder && !pointed,
      // The newest choices first: chains are more telling than stages that all read the same files.
      reads: seed.reads.map(number => choices[choices.length - 1 - (number % choices.length)]!),
      needs: seed.needs === null || index === 0 ? null : seed.needs % index,
    });
  }
  return stages;
}

/** The bytes of a version of a file: every version has the same length. */
export const bytesOf = (path: string, version: number): string => `${path} ${version}\n`;

const stageSeed: fc.Arbitrary<StageSeed> = fc.record({
  reads: fc.array(fc.nat(9), { minLength: 1, maxLength: 3 }),
  shape: fc.constantFrom('single', 'single', 'matrix', 'each'),
  param: fc.constantFrom('x', 'y', null),
  salt: fc.nat(2),
  counts: fc.boolean(),
  folder: fc.boolean(),
  needs: fc.option(fc.nat(4)),
  renamed: fc.constant(0),
});

export const anyProject: fc.Arbitrary<Project> = fc.record({
  stages: fc.array(stageSeed, { minLength: 1, maxLength: 5 }),
  params: fc.constant({ x: 0, y: 0, sizes: [1, 2] }),
  set: fc.constant(null),
  files: fc.constant({ 'data/a.txt': 0, 'data/b.txt': 0, 'data/folder/f1.txt': 0, 'data/folder/other.md': 0 }),
  comment: fc.constant(0),
  reversed: fc.constant(false),
});
