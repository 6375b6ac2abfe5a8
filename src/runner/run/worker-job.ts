/** What a typed stage's process is told. A leaf: both sides read it. */
import type { InputKind } from '../../stage.ts';
import type { JsonObject } from '../json.ts';
import type { JobInput } from './executor.ts';

/** Names the descriptor of a pipe to the driver; set in the process's environment only, not in `run.sh`. */
export const lifelineVariable = 'PIPE_LIFELINE';

/** In place of a job's file: jobs come through the lifeline, one after the other. */
export const serveFlag = '--serve';

/** Written as JSON in the work folder. */
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

/** To a serving worker, a line each. */
export interface WorkerOrder {
  /** Path of the `WorkerJob`. */
  readonly job: string;
  /** Becomes stdout and stderr. */
  readonly log: string;
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
  /**
   * The packages that the module names, where all of them are known to keep no state: then loading it anew leaves nothing of the
   * time before. Null where there are others.
   */
  readonly stateless: readonly string[] | null;
}

/** From a serving worker, a line each. */
export type WorkerAnswer =
  /** The stage begins. A worker that ends before it has done nothing of the job. */
  | { readonly begun: boolean }
  /** `keep`: it takes another; else it ends by itself. */
  | { readonly code: number; readonly keep: boolean };
