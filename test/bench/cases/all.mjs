import { noOpCopies } from './noop-copies.mjs';
import { noOpPackages } from './noop-packages.mjs';
import { manyFilesUnchanged } from './many-files-unchanged.mjs';
import { manyFilesFirst } from './many-files-first.mjs';
import { manyFilesEdited } from './many-files-edited.mjs';
import { planGrid } from './plan-grid.mjs';
import { planCurve } from './plan-curve.mjs';
import { coldShell } from './cold-shell.mjs';
import { coldCopies } from './cold-copies.mjs';
import { typedEmpty } from './typed-empty.mjs';
import { bigOutputs } from './big-outputs.mjs';
import { liveView } from './live-view.mjs';
import { restoreShared } from './restore-shared.mjs';
import { slurmArray } from './slurm-array.mjs';
import { sshOverhead } from './ssh-overhead.mjs';
import { sshUnchanged, sshUpload } from './ssh-blobs.mjs';

/** @type {readonly import('../model.mjs').Case[]} */
export const allCases = [
  noOpCopies(12, { seconds: 0.25, timesDvc: 4 }),
  noOpCopies(200, { seconds: null, timesDvc: 8 }),
  noOpPackages,
  manyFilesUnchanged,
  manyFilesFirst,
  manyFilesEdited,
  planGrid,
  planCurve,
  coldShell,
  coldCopies,
  typedEmpty,
  bigOutputs,
  liveView,
  ...restoreShared,
  sshOverhead,
  sshUnchanged,
  sshUpload,
  slurmArray,
];
