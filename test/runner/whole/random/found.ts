/** Histories that once went wrong, made small: they are lived again each time, before the random ones. */
import type { Edit } from './edit.ts';
import type { Project, StageSeed } from './model.ts';

const single: StageSeed = { reads: [0], shape: 'single', param: null, salt: 0, counts: false, folder: false, needs: null, renamed: 0 };

const project = (stages: readonly StageSeed[]): Project => ({
  stages,
  params: { x: 0, y: 0, sizes: [1, 2] },
  set: null,
  files: { 'data/a.txt': 0, 'data/b.txt': 0, 'data/folder/f1.txt': 0, 'data/folder/other.md': 0 },
  comment: 0,
  reversed: false,
});

export const found: [Project, Edit[]][] = [
  // Cells were started twice when what they wait for was fresh, and consumers of theirs, told twice, were skipped.
  [
    project([single, { ...single, shape: 'matrix' }, { ...single, shape: 'each', reads: [0, 2] }, { ...single, shape: 'matrix' }]),
    [{ kind: 'command', stage: 1, salt: 1 }],
  ],
  // Two stages put out the same; when it was lost, one making it again kept the other from running, which the plan had shown as `run`.
  [
    project([{ ...single, reads: [3, 6], param: 'x', salt: 1, counts: true, needs: 1 }, { ...single, reads: [3, 4], param: 'x', salt: 1, counts: true, needs: 1 }]),
    [
      { kind: 'damage', cell: 0, how: 'append' }, { kind: 'lose-link', cell: 8 },
      { kind: 'command', stage: 19, salt: 0 }, { kind: 'damage', cell: 25, how: 'truncate' },
    ],
  ],
];
