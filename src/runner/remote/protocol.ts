/** What driver and host say to each other. */
import type { Cell, Resources } from '../pipeline/model.ts';
import type { Artefact, FailureCause } from '../store/model.ts';
import type { JsonObject } from '../json.ts';
import type { Grant, JobOutcome } from '../run/executor.ts';

/** Printed by the agent before its first frame: what a shell's start-up files print before is skipped. */
export const greeting = 'pipe-agent ready\n';

/** Names a folder of tensor backends, each in a folder of its own with a `ready.json`; else they are looked for in `pipe/backends` of the user's cache. */
export const backendsVariable = 'PIPE_BACKENDS';

/** One entry of an artefact: type, byte path below it ('' for itself), SHA-256 of a file's bytes or a link's target, size. */
export type HostEntry = readonly [type: 'f' | 'x' | 'd' | 'l', path: string, content: string, size: number];

export interface HostArtefact {
  readonly artefact: Artefact;
  readonly entries: readonly HostEntry[];
}

/** An input, named by what it holds; the host knows where that lies. */
export type HostInput =
  | { readonly kind: 'artefact'; readonly artefact: Artefact }
  /** A project file or folder. */
  | { readonly kind: 'path'; readonly artefact: Artefact }
  | { readonly kind: 'glob'; readonly artefact: Artefact; readonly paths: readonly string[] }
  | {
      readonly kind: 'gather';
      readonly items: readonly { readonly point: JsonObject; readonly cell: string; readonly artefact: Artefact | null; readonly status: 'done' | 'failed' | 'stopped' }[];
    };

/** What the host needs to run an attempt. No secret is in it: it is written to disk there. */
export interface HostJob {
  /** The action key, or for an attempt that must not be shared a name that is only this attempt's. */
  readonly name: string;
  /** Of this attempt: a repeated start with it is harmless. */
  readonly token: string;
  /** The cache whose driver asks: after a crash the next driver of the same cache may stop what this one started. */
  readonly owner: string;
  readonly ownerText: string;
  readonly cell: Cell;
  readonly inputs: Readonly<Record<string, HostInput>>;
  /** What it asks for now: a retry may ask for more than the cell does. */
  readonly resources: Resources;
  readonly timeoutMs: number | null;
  readonly backend: string;
  /** The typed stage's module, and the tree in which it finds packages and assets. */
  readonly bundle: Artefact | null;
  /** Of an attempt elsewhere: it goes on from this, whatever checkpoint is there. */
  readonly checkpoint: Artefact | null;
  /** Artefacts that have to be there besides the inputs. */
  readonly trees: readonly Artefact[];
  readonly plain: Readonly<Record<string, string>>;
  readonly secretNames: readonly string[];
  readonly graceMs: number;
  /** As many at once on this host, whoever started them. */
  readonly slots: number;
  /** Own resources of the host: name → amount. */
  readonly named: Readonly<Record<string, number>>;
  readonly slurm: SlurmRequest | null;
}

export interface SlurmRequest {
  /** Options of sbatch, such as `--partition=gpu`. */
  readonly options: readonly string[];
  readonly modules: readonly string[];
  readonly container: string | null;
  readonly setup: string | null;
  /** Whether jobs that ask for the same are sent as one array. */
  readonly array: boolean;
  /** How many of them one task runs at most, one after the other; `auto`: as the time that their stage took before allows. */
  readonly pack: number | 'auto';
}

/** Written by the supervisor as the last thing it does, in one piece. */
export interface HostExit {
  readonly token: string;
  readonly outcome: JobOutcome;
  /** By output; null when it did not end well. Metrics outputs and the like are read by the driver. */
  readonly outputs: Readonly<Record<string, Artefact>> | null;
  readonly grant: Grant;
  readonly node: string;
  readonly ranMs: number;
  /** Seen to be so: no scheduler needs to be asked what a signal was for. */
  readonly certain?: true;
}

/** How a job stands, as its folder on the host tells. */
export type JobState =
  /** `abandoned`: nobody starts it; whoever waits for it may start it anew. */
  | { readonly state: 'waiting'; readonly why: string; readonly abandoned?: true }
  | { readonly state: 'running'; readonly node: string; readonly grant: Grant }
  | { readonly state: 'ended'; readonly exit: HostExit }
  /** Nobody is at it any more, and there is no exit file. */
  | { readonly state: 'lost'; readonly cause: FailureCause; readonly message: string };

export interface HostFacts {
  readonly host: string;
  readonly user: string;
  readonly folder: string;
  readonly node: string;
  readonly os: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: readonly { readonly id: string; readonly memoryBytes: number }[];
  readonly freeBytes: number;
  /** Folders of tensor backends that are installed there. */
  readonly backends: readonly string[];
  /** Milliseconds since 1970, by the clock there. */
  readonly time: number;
}

export interface ListedJob {
  readonly name: string;
  readonly cell: string;
  readonly owner: string;
  readonly ownerText: string;
  readonly token: string;
  readonly state: JobState['state'];
  readonly detail: string;
  /** It has ended well. */
  readonly ok: boolean;
  readonly released: boolean;
}

export interface HostGcRequest {
  /** What was used more lately stays. */
  readonly unusedForMs: number;
  /** Beyond that, the least recently used artefacts go until no more bytes than this are left; null: none. */
  readonly maxBytes: number | null;
  /** Digests of artefacts that have to stay: nobody else has them. */
  readonly keep: readonly string[];
  readonly remove: boolean;
}

export interface HostGcItem {
  readonly kind: 'artefact' | 'job' | 'checkpoint' | 'program' | 'leftover';
  readonly name: string;
  readonly bytes: number;
  readonly lastUsed: number;
}

export interface HostGcPlan {
  readonly remove: readonly HostGcItem[];
  /** Artefacts that stay, and why: a job needs them, the asking cache has them only there, they were used lately. */
  readonly kept: { readonly inUse: number; readonly onlyHere: number; readonly recent: number };
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** A checkpoint on the host that is at rest. */
export type HostCheckpoint = { readonly kind: 'there'; readonly tree: HostArtefact } | { readonly kind: 'none' } | { readonly kind: 'in-use' } | { readonly kind: 'too-large'; readonly bytes: number };

/** A failure on the host that the driver should tell as it is. */
export interface HostTrouble {
  readonly message: string;
  /** Of node:fs, such as ENOSPC. */
  readonly code: string | null;
}
