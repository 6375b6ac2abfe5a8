/**
 * Everything that happens in a run, as values. Renderers only render them, the database writer only records them,
 * `--json` prints them one a line; nothing else prints.
 */
import type { JsonObject } from '../json.ts';
import type { FailureCause } from '../store/model.ts';
import type { VerificationReport } from '../store/verifications.ts';

export type CellStatus = 'ran' | 'fresh' | 'failed' | 'skipped' | 'tainted' | 'stopped' | 'interrupted';

export type RunEvent =
  | {
      readonly event: 'run.planned';
      readonly run: number | null;
      readonly pipeline: string;
      readonly profile: string | null;
      readonly cells: number;
      readonly fresh: number;
      readonly toRun: number;
      readonly pending: number;
      readonly stopped: number;
      readonly estimateMs: number | null;
      readonly dry: boolean;
    }
  | {
      readonly event: 'cell.started';
      readonly cell: string;
      readonly stage: string;
      readonly attempt: number;
      /** 1 for the first try of this run, 2 for the first retry … */
      readonly try: number;
      readonly host: string;
      readonly cpu: number;
      readonly gpus: readonly string[];
      readonly log: string;
      readonly at: number;
    }
  | {
      readonly event: 'cell.progress';
      readonly cell: string;
      readonly fraction: number;
      readonly step?: number;
      readonly total?: number;
      readonly rate?: number;
      readonly unit?: string;
    }
  /** Values that JSON cannot hold are the texts NaN, Infinity and -Infinity. */
  | { readonly event: 'metric'; readonly cell: string; readonly name: string; readonly value: number | string; readonly step?: number }
  | { readonly event: 'note'; readonly cell: string; readonly text: string }
  | { readonly event: 'platform'; readonly cell: string; readonly facts: JsonObject }
  /** It goes on from a checkpoint of this step. */
  | { readonly event: 'cell.resumed'; readonly cell: string; readonly step: number }
  | { readonly event: 'log'; readonly cell: string; readonly text: string }
  /** Another run is at this cell; its result will be taken. */
  | { readonly event: 'cell.waiting'; readonly cell: string; readonly holder: string }
  | { readonly event: 'cell.retrying'; readonly cell: string; readonly cause: FailureCause; readonly inMs: number; readonly try: number }
  | {
      readonly event: 'cell.finished';
      readonly cell: string;
      readonly stage: string;
      readonly status: CellStatus;
      /** Milliseconds it ran; 0 when fresh. */
      readonly durationMs: number;
      readonly key: string | null;
      readonly attempt: number | null;
      /** The last note, or the last value of each metric shown on the stage's line. */
      readonly summary: string | null;
      /** The step of the checkpoint it went on from. */
      readonly resumedFromStep?: number;
      readonly cause?: FailureCause;
      readonly message?: string;
      readonly log?: string;
      readonly folder?: string;
      /** The last lines of the log of a failed cell. */
      readonly tail?: readonly string[];
      /** For `pipe verify`. */
      readonly verification?: VerificationReport;
    }
  /** Something the user should know that belongs to no cell, or a problem that did not stop the run. */
  | { readonly event: 'notice'; readonly level: 'info' | 'warning'; readonly text: string; readonly cell?: string }
  | {
      readonly event: 'run.finished';
      readonly run: number | null;
      readonly ran: number;
      readonly fresh: number;
      readonly failed: number;
      readonly skipped: number;
      readonly stopped: number;
      readonly tainted: number;
      readonly interrupted: number;
      readonly durationMs: number;
      readonly exitCode: number;
      /** Absolute path of the page, when one was written. */
      readonly report: string | null;
    };

export type EmitEvent = (event: RunEvent) => void;

/** Renders events; the only things that write to the terminal during a run. */
export interface Renderer {
  handle(event: RunEvent): void;
  /** Resolves when everything is written and the terminal is as it was. */
  close(): Promise<void>;
}
