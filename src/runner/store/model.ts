/** What the store keeps. Digests and keys are lower-case hex SHA-256. */
import type { Json, JsonObject } from '../json.ts';

export type Digest = string & { readonly __brand: 'Digest' };
/** SHA-256 over the canonical encoding of a fingerprint manifest. */
export type Key = string & { readonly __brand: 'Key' };

/** An immutable output: `cache/artefacts/<digest>/<name>`. The digest covers name, type, executable bit and content. */
export interface Artefact {
  readonly digest: Digest;
  readonly name: string;
  readonly type: 'file' | 'folder';
  /** Bytes of all its files. */
  readonly size: number;
  readonly files: number;
}

/** One named part of what a cell depends on. */
export interface ManifestPart {
  /** `code`, `run`, `with.size`, `in.images`, `out`, `env.LANG`, `platform.backend`, `interpreter`, `stage-api` … */
  readonly part: string;
  readonly value: Json;
  /** Shown by `why`, left out of the key. */
  readonly ignored?: true;
}

/** Sorted by part. Stored with each attempt, so that "why" is a diff of two manifests. */
export type Manifest = readonly ManifestPart[];

/** What a key stands for. `plan` keys are known before anything runs; `action` keys hold the input digests. */
export interface ResultRecord {
  readonly key: Key;
  readonly kind: 'plan' | 'action';
  readonly attempt: number;
  readonly outputs: Readonly<Record<string, Artefact>>;
  /** Set by `pipe accept`: these outputs were let stand for a key they were not made with. */
  readonly accepted: string | null;
}

/** `verified`: `pipe verify` ran it again, and it made the same; its own outputs are not kept. */
export type AttemptStatus = 'running' | 'ran' | 'verified' | 'failed' | 'tainted' | 'interrupted' | 'lost';

/** Why an attempt did not end well, in one word; the message says the rest. */
export type FailureCause =
  | 'exit'
  | 'signal'
  | 'oom'
  | 'timeout'
  | 'preempted'
  | 'missing-output'
  | 'damaged-input'
  | 'cancelled'
  | 'disk-full'
  /** `pipe verify` ran it again, and it made something else. */
  | 'differs'
  | 'internal';

export interface Attempt {
  readonly id: number;
  readonly run: number;
  readonly stage: string;
  readonly cell: string;
  readonly point: JsonObject;
  readonly planKey: Key;
  readonly actionKey: Key | null;
  readonly status: AttemptStatus;
  readonly host: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly cpuSeconds: number | null;
  readonly peakMemoryBytes: number | null;
  readonly gpu: string | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly cause: FailureCause | null;
  readonly message: string | null;
  /** Absolute path of the log file. */
  readonly log: string;
  readonly platform: JsonObject;
  readonly resumedFromStep: number | null;
  /** The attempt whose outputs it was to make again, by `pipe verify`; null for all others. */
  readonly verifies: number | null;
}
