/**
 * Named steps at which the suite `faults` ends this process as a power cut would: `PIPE_FAULT_POINT=committed`, or
 * `committed:3` for the third time it comes there. Without that variable a step is one comparison.
 */
import { kill, pid } from 'node:process';

export const faultPoints = [
  // A run's beginning and end.
  'run-begun', 'recovered', 'run-ending', 'run-ended',
  // One attempt, from its lease to its process's end.
  'lease-taken', 'attempt-begun', 'folder-made', 'process-starting', 'process-started', 'process-ended',
  // The commit.
  'outputs-synced', 'output-moved', 'output-settled', 'output-placed', 'artefact-recorded', 'committing', 'commit-written', 'committed',
  // What follows it.
  'link-made', 'link-swapped', 'copy-made', 'copy-aside', 'copy-swapped', 'artefact-dropping', 'artefact-dropped',
  // A damaged artefact put aside.
  'artefact-damaged', 'artefact-aside',
] as const;

export type FaultPoint = (typeof faultPoints)[number];

const [wanted, count = '1'] = (process.env['PIPE_FAULT_POINT'] ?? '').split(':');
let left = Number(count);

export function faultPoint(name: FaultPoint): void {
  // SIGKILL to itself does not return.
  if (name === wanted && --left === 0) kill(pid, 'SIGKILL');
}
