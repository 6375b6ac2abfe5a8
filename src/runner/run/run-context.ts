/** What the parts of one run share. */
import type { CellGraph } from '../pipeline/model.ts';
import type { Plan } from '../plan/model.ts';
import type { Artefact, Digest, Key } from '../store/model.ts';
import type { SharedResults } from '../shared-cache/shared-results.ts';
import type { Store } from '../store/store.ts';
import type { CellResult } from './cell-result.ts';
import type { EmitEvent } from './event.ts';
import type { Executor } from './executor.ts';
import type { Leases } from './leases.ts';
import type { Machine } from './resources.ts';
import type { FetchCheckpoint } from './move-checkpoint.ts';
import type { RunControl } from './run-control.ts';
import type { SpareFolders } from './spare-folders.ts';
import type { VerifyRequest } from './verify-outputs.ts';

export interface RunContext {
  /** Row of the run in the results database. */
  readonly run: number;
  readonly plan: Plan;
  readonly graph: CellGraph;
  readonly store: Store;
  readonly emit: EmitEvent;
  readonly leases: Leases;
  readonly machine: Machine;
  readonly backend: string;
  readonly packageRoot: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly executors: (name: string) => Executor;
  /** Brings an artefact here from a host that has it; false when none has it any more. */
  readonly fetch: (artefact: Artefact) => Promise<boolean>;
  readonly fetchCheckpoint: FetchCheckpoint;
  readonly signal: AbortSignal;
  readonly kill: AbortSignal;
  readonly control: RunControl;
  /** Cells that are run again to be compared with their results, not to replace them. */
  readonly verify: ReadonlyMap<number, VerifyRequest>;
  /** Action keys that are not started (again): they failed, or an `always` cell had its turn. */
  readonly refused: ReadonlySet<Key>;
  /** Facts recorded with an attempt, and keyed where a stage lists them. */
  readonly platformOf: (cell: number) => Readonly<Record<string, string>>;
  readonly resultOf: (cell: number) => CellResult | null;
  /** Artefacts found whole in this run, before somebody read them. */
  readonly verified: Set<Digest>;
  /** Attempts of this run that are reading artefacts now: those of a damaged one are tainted. */
  readonly reading: Map<number, ReadingAttempt>;
  /** Cells that others come after without reading them (`needs`). */
  readonly comeAfter: ReadonlySet<number>;
  /** Private folders that can be used again. */
  readonly spare: SpareFolders;
  /** Asked for results that are not here; null without one. */
  readonly shared: SharedResults | null;
  /** Work that nobody waits for but the end of the run; its failure is told and harms nothing. */
  readonly inBackground: (work: Promise<void>) => void;
  /** For `whileLocked`: says that the database is locked, and whether to wait on. */
  readonly whenLocked: (tries: number) => boolean;
  /** Called once when a stage begins to use GPUs and once when it ends, for the budget. */
  readonly countGpuTime: (gpus: number, ms: number) => void;
}

export interface ReadingAttempt {
  readonly artefacts: readonly Artefact[];
  damaged: Artefact | null;
}
