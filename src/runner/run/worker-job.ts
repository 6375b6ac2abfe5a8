/** What a typed stage's process is told, as JSON in its work folder. A leaf: both sides read it. */
import type { InputKind } from '../../stage.ts';
import type { JsonObject } from '../json.ts';
import type { JobInput } from './executor.ts';

/** Names the descriptor of a pipe to the driver; set in the process's environment only, not in `run.sh`. */
export const lifelineVariable = 'PIPE_LIFELINE';

export interface WorkerJob {
  /** The module to import. */
  readonly bundle: string;
  readonly cell: string;
  readonly params: JsonObject;
  readonly inputs: Readonly<Record<string, JobInput>>;
  /** Declared inputs of the stage, with their kinds. */
  readonly declaredInputs: Readonly<Record<string, InputKind>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly checkpoint: string | null;
  readonly cpu: number;
  readonly gpus: readonly string[];
  readonly backend: string;
  readonly projectRoot: string;
  readonly events: string;
}
