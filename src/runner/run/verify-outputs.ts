/** What a cell that was run again made, beside what is recorded of it. Nothing is kept but the finding. */
import { basename } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { Artefact, FailureCause, Key } from '../store/model.ts';
import { compareOutput } from '../store/compare-output.ts';
import type { Store } from '../store/store.ts';
import type { OutputComparison, VerificationReport } from '../store/verifications.ts';
import type { AttemptRecorder } from './attempt-recorder.ts';
import type { Outputs } from './cell-result.ts';
import { checkOutputs } from './collect-outputs.ts';
import { compareMetrics } from './compare-metrics.ts';
import type { Job } from './executor.ts';
import { outputPaths } from './work-folder.ts';

/** What a cell is to be compared with instead of being committed. */
export interface VerifyRequest {
  /** The action key under which the result stands. */
  readonly key: Key;
  readonly attempt: number;
  readonly outputs: Outputs;
  /** How far values of outputs of kind `metrics` may differ, see `compareMetrics`; null: every byte counts. */
  readonly tolerance: number | null;
}

export type Verified =
  | { readonly status: 'verified'; readonly report: VerificationReport }
  | { readonly status: 'failed'; readonly cause: FailureCause; readonly message: string; readonly report?: VerificationReport };

export async function verifyOutputs(store: Store, job: Job, request: VerifyRequest, recorder: AttemptRecorder): Promise<Verified> {
  const { cell, folder } = job;
  const trouble = checkOutputs(cell, folder, recorder);
  if (trouble !== null) return { status: 'failed', cause: trouble.cause, message: trouble.message };
  const outputs: OutputComparison[] = [];
  for (const [output, path] of Object.entries(outputPaths(cell, folder))) {
    const recorded = request.outputs[output];
    if (recorded === undefined) throw new Error(`attempt ${request.attempt} has no output ${output}`);
    const tolerance = cell.outputs[output]!.kind === 'metrics' ? request.tolerance : null;
    try {
      outputs.push({ output, ...(await compareOne(store, recorded, path, tolerance)) });
    } catch (error) {
      if (!(error instanceof PipeError)) throw error;
      return { status: 'failed', cause: 'missing-output', message: `the output ${output} (${basename(path)}): ${error.message}` };
    }
  }
  const different = outputs.filter(({ how }) => how === 'different');
  const report = { attempt: request.attempt, deterministic: different.length === 0, tolerance: request.tolerance, outputs };
  if (report.deterministic) return { status: 'verified', report };
  return { status: 'failed', cause: 'differs', report, message: `it made something else than attempt ${request.attempt}: ${different.map(({ output, text }) => `${output} (${text})`).join('; ')}` };
}

async function compareOne(store: Store, recorded: Artefact, path: string, tolerance: number | null): Promise<Omit<OutputComparison, 'output'>> {
  const text = await compareOutput(store.artefacts, recorded, path);
  if (text === null) return { how: 'same', text };
  if (tolerance === null || recorded.type !== 'file' || store.artefacts.present(recorded) !== 'here') return { how: 'different', text };
  const { within, text: values } = compareMetrics(store.artefacts.pathOf(recorded), path, tolerance);
  return { how: within ? 'tolerated' : 'different', text: values };
}
