/** The seam between scheduling and the place where a cell runs: here, on a host, on a cluster. */
import type { JsonObject } from '../json.ts';
import type { Cell, CellGraph } from '../pipeline/model.ts';
import type { Artefact, FailureCause } from '../store/model.ts';

/** One input as the job sees it: a path, or a gather's list. */
export type JobInput =
  | { readonly kind: 'artefact'; readonly artefact: Artefact; readonly path: string }
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'glob'; readonly paths: readonly string[] }
  | {
      readonly kind: 'gather';
      readonly items: readonly {
        readonly point: JsonObject;
        readonly cell: string;
        readonly artefact: Artefact | null;
        readonly path: string | null;
        readonly status: 'done' | 'failed' | 'stopped';
      }[];
    };

export interface Grant {
  readonly cpu: number;
  readonly gpus: readonly string[];
  /** Bytes, when the stage asked for an amount. */
  readonly memory: number | null;
}

export interface Job {
  readonly graph: CellGraph;
  readonly cell: Cell;
  readonly attempt: number;
  readonly inputs: Readonly<Record<string, JobInput>>;
  /** The private folder; exists and is empty but for what the driver wrote (`run.sh`, `params.json`). */
  readonly folder: string;
  readonly log: string;
  /** Survives attempts with the same key, or null. */
  readonly checkpoint: string | null;
  readonly grant: Grant;
  readonly timeoutMs: number | null;
  readonly backend: string;
  /** A typed stage's bundled module, null for a shell stage. */
  readonly bundle: string | null;
  /** Variables the stage is given by `env:`: those passed and set, and secrets. Values of secrets must not be stored. */
  readonly environment: { readonly plain: Readonly<Record<string, string>>; readonly secret: Readonly<Record<string, string>> };
}

/** What a stage says while it runs; read from the file named by `$PIPE_EVENTS`, one JSON object a line. */
export type StageEvent =
  | { readonly metric: string; readonly value: number; readonly step?: number }
  | { readonly progress: number; readonly step?: number; readonly total?: number; readonly rate?: number; readonly unit?: string }
  | { readonly note: string }
  | { readonly platform: JsonObject }
  /** It went on from a checkpoint that an earlier attempt left at this step. */
  | { readonly resumed: number }
  /** What the typed stage's process used, written as its last word; more exact than sampling from outside. */
  | { readonly usage: { readonly cpuSeconds: number; readonly peakMemoryBytes: number } }
  /** Why it failed, in one sentence; shown instead of its exit code. */
  | { readonly error: string };

export interface JobOutcome {
  readonly ok: boolean;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly cause: FailureCause | null;
  readonly message: string | null;
  readonly cpuSeconds: number | null;
  readonly peakMemoryBytes: number | null;
  readonly gpu: string | null;
}

export interface Executor {
  readonly name: string;
  /** Runs the job to its end. `signal` aborted once: ask it to stop; `kill` aborted: end its process tree now. */
  execute(
    job: Job,
    control: { readonly signal: AbortSignal; readonly kill: AbortSignal; readonly onEvent: (event: StageEvent) => void; readonly onNotice?: (text: string) => void },
  ): Promise<JobOutcome>;
  close(): Promise<void>;
}
