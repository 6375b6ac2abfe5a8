/**
 * The meeting place of the runner and the stages: `defineStage` and its types. A leaf: it imports nothing of
 * either half, so a stage's key never holds the runner.
 */
import type { z } from 'zod';

/** Changes only when what a stage sees changes; part of every typed stage's key. */
export const stageApi = 1;

/** What an output or input is on disk. `metrics` is a JSON Lines file of `{ metric, value, step? }`. */
export type ArtefactKind = 'file' | 'folder' | 'metrics';

/** `file` is required, `file?` may be left out of `in:`, `file[]` takes a gather such as `evaluate[*].metrics`. */
export type InputKind = ArtefactKind | `${ArtefactKind}?` | `${ArtefactKind}[]`;

/** One cell of a gather, in matrix order. `path` is null when the cell failed and the stage said `partial: true`. */
export interface GatheredCell {
  /** The cell's matrix point, for example `{ size: 'd32l2', flops: 1e9, seed: 1 }`. */
  readonly point: Readonly<Record<string, unknown>>;
  readonly cell: string;
  readonly path: string | null;
  readonly status: 'done' | 'failed' | 'stopped';
}

export type InputValue<K extends InputKind> = K extends `${ArtefactKind}[]`
  ? readonly GatheredCell[]
  : K extends `${ArtefactKind}?`
    ? string | undefined
    : string;

/** How far a stage has come; everything but the fraction is optional and only shown. */
export interface ProgressDetail {
  readonly step?: number;
  readonly total?: number;
  /** Units a second, for example pairs a second. */
  readonly rate?: number;
  readonly unit?: string;
}

/** What a running stage tells: shown live, and kept in the results database. */
export interface Report {
  /** A number by name and, for curves, by step. NaN and infinities are kept as such. */
  metric(name: string, value: number, step?: number): void;
  /** The share done, 0 to 1. */
  progress(fraction: number, detail?: ProgressDetail): void;
  /** A sentence for the log and the stage's line, for example "4,645 images, 12 left out". */
  note(text: string): void;
  /** Facts about where it ran, for example `{ backend: 'wasm 4.22.0', threads: 2 }`; recorded with the attempt. */
  platform(facts: Readonly<Record<string, string | number>>): void;
  /** It goes on from a checkpoint of this step; shown at once, and kept with the attempt. */
  resumed(step: number): void;
}

export interface StageContext<P, I extends Record<string, InputKind>, O extends Record<string, ArtefactKind>> {
  readonly params: P;
  /** Absolute paths of the inputs, read in place and never written to. */
  readonly inputs: { readonly [K in keyof I]: InputValue<I[K]> };
  /** Absolute paths to write; a `folder` exists already and is empty, a `file` does not exist yet. */
  readonly outputs: { readonly [K in keyof O]: string };
  readonly report: Report;
  /** Aborted when the run is to stop; a stage with a checkpoint saves it and throws `signal.reason`. */
  readonly signal: AbortSignal;
  /** A folder that survives attempts with the same key; null unless the pipeline says `checkpoint: true`. */
  readonly checkpoint: string | null;
  /** What the scheduler gave this attempt: processor cores, and the visible GPU ids. */
  readonly resources: { readonly cpu: number; readonly gpus: readonly string[] };
  /** The tensor backend asked for on the command line or by PIPE_BACKEND, or `auto`. */
  readonly backend: string;
  /** The project's root: where `../shared`-like local paths in params are resolved from. */
  readonly projectRoot: string;
}

/** What is wrong with an input, or with a param beside the inputs there are, found before anything has run. */
export type InputProblem = ({ readonly input: string } | { readonly param: string }) & { readonly message: string; readonly hint?: string };

/**
 * A cell's params and inputs. An input is the absolute path of a file or folder of the project that is there, null where it is to
 * be made, by another stage for example, and undefined where the cell has none.
 */
export interface GivenInputs<P, I extends Record<string, InputKind>> {
  readonly params: P;
  readonly inputs: { readonly [K in keyof I]?: string | null };
}

export interface StageModule<
  P extends z.ZodType = z.ZodType,
  I extends Record<string, InputKind> = Record<string, InputKind>,
  O extends Record<string, ArtefactKind> = Record<string, ArtefactKind>,
> {
  readonly stageApi: number;
  /** One line, shown by `pipe graph` and `pipe validate`. */
  readonly summary: string;
  /** A zod object; validated when the pipeline is loaded, and the error points at the YAML. */
  readonly params: P;
  readonly inputs: I;
  readonly outputs: O;
  /**
   * Whether cells may run one after the other in one process. The stage's own modules are loaded anew for each, packages are not:
   * unless said, only stages without packages (but zod) do so. `true` says that what packages keep does no harm, `false` gives
   * each cell a process of its own in any case.
   */
  readonly warm?: boolean;
  /**
   * Whether inputs suit the params, those that are at hand when the pipeline is loaded, and which of them there are; what is wrong
   * is shown at the input's or param's place in the YAML. It should read little (a header), since it is asked each time that the
   * pipeline is read, and is no part of `run`: files made by other stages are not there yet, so `run` has to look for itself.
   * It is asked where a cell has an input of the project, and in stages with an input that may be left out.
   */
  readonly check?: (given: GivenInputs<z.output<P>, I>) => Promise<readonly InputProblem[]>;
  run(context: StageContext<z.output<P>, I, O>): Promise<void>;
}

/**
 * Declares a stage. Types of params, inputs and outputs flow into `run`. Heavy modules belong in
 * `await import('…')` inside `run`, so that planning stays quick.
 */
export function defineStage<
  P extends z.ZodType,
  const I extends Record<string, InputKind>,
  const O extends Record<string, ArtefactKind>,
>(stage: Omit<StageModule<P, I, O>, 'stageApi'>): StageModule<P, I, O> {
  return { stageApi, ...stage };
}
