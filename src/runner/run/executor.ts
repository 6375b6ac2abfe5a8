/** The seam between scheduling and the place where a cell runs: here, on a host, on a cluster. */
import type { JsonObject } from '../json.ts';
import type { Cell } from '../pipeline/model.ts';
import type { Artefact, FailureCause, Key } from '../store/model.ts';

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
  /** Absolute path of the project, where there is one. */
  readonly projectRoot: string;
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
  /** The packages that the bundle names, where all are known to keep no state; null where there are others. */
  readonly stateless: readonly string[] | null;
  /** Variables the stage is given by `env:`: those passed and set, and secrets. Values of secrets must not be stored. */
  readonly environment: { readonly plain: Readonly<Record<string, string>>; readonly secret: Readonly<Record<string, string>> };
  readonly plan: JobPlan;
}

/** What an executor elsewhere needs to know besides. */
export interface JobPlan {
  readonly key: Key;
  /** Whether a result of the same key that an earlier run has started elsewhere, and did not live to fetch, will do. */
  readonly mayAttach: boolean;
  /** Outputs that have to come here, whatever their size. */
  readonly bring: 'all' | ReadonlySet<string>;
  /** The checkpoint in its folder here goes along, in place of what is there. */
  readonly sendCheckpoint: boolean;
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
  /** Outputs that stay where they were made, by name: they are not in the work folder. */
  readonly elsewhere?: Readonly<Record<string, ArtefactElsewhere>>;
  /** It failed of what is no doing of the stage, nor of the machine for long: it may be tried once more, whatever its `retries`. */
  readonly blameless?: boolean;
  /** GPUs it was given by an executor that gives them itself. */
  readonly gpusGiven?: number;
}

export interface ArtefactElsewhere {
  readonly artefact: Artefact;
  /** The host of the hosts file that has it. */
  readonly host: string;
}

export interface JobControl {
  readonly signal: AbortSignal;
  readonly kill: AbortSignal;
  readonly onEvent: (event: StageEvent) => void;
  readonly onNotice?: (text: string) => void;
  /** Called when its first process has started on this machine. `seen` grows: pid → start time of each process of its tree. */
  readonly onStarted?: (seen: ReadonlyMap<number, string>) => void;
  /** Called when it has begun, here or elsewhere: from now on there may be a checkpoint of it. `sent`: it has the one that went along. */
  readonly onBegun?: (sent: boolean) => void;
}

export interface Executor {
  readonly name: string;
  /** How many jobs it takes at once; those of this machine are counted by its resources. */
  readonly slots?: number;
  /** Of one elsewhere: what is no larger comes here when a cell has ended. */
  readonly pullBytes?: number;
  /** Runs the job to its end. `signal` aborted once: ask it to stop; `kill` aborted: end its process tree now. */
  execute(job: Job, control: JobControl): Promise<JobOutcome>;
  close(): Promise<void>;
}
