/**
 * What a pipeline file means once it is read: plain data that can be written to disk and read back, so that a run in
 * which nothing changed need not parse YAML. Positions in files are kept apart (`positions.ts`): nodes carry an
 * `Origin`, from which the line and column are found when somebody asks.
 */
import type { ArtefactKind, InputKind, InputProblem } from '../../stage.ts';
import type { Json, JsonObject } from '../json.ts';

export type { Json, JsonObject } from '../json.ts';

/** `train[size=d32l2,flops=1e9,seed=1]`: axes in declared order, as printed. */
export type CellId = string & { readonly __brand: 'CellId' };

/** Where a setting was written: a file and a JSON pointer into it, or the command line. */
export type Origin =
  | { readonly kind: 'file'; readonly file: string; readonly pointer: string }
  /** As it was typed: `--set seeds=3`. */
  | { readonly kind: 'command-line'; readonly text: string };

/** A matrix point, axes in declared order. */
export type Point = JsonObject;

/** A place in a file, 1-based; `length` characters are marked when it is shown. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** An edge or a path that a cell reads. */
export type CellInput =
  /** One output of another cell. */
  | { readonly kind: 'output'; readonly cell: number; readonly output: string }
  /** The same output of several cells, in matrix order. */
  | {
      readonly kind: 'gather';
      readonly output: string;
      readonly items: readonly { readonly cell: number; readonly point: Point }[];
      /** Missing and failed cells are handed over with `path: null`. */
      readonly partial: boolean;
    }
  /** A file, folder or glob of the project; relative to the project root, `/` as separator, or absolute. */
  | { readonly kind: 'path'; readonly path: string; readonly glob: boolean };

export interface OutputDeclaration {
  readonly kind: ArtefactKind | 'any';
  /** The name in the run folder and in the artefact: `count.txt`; for typed stages the output's own name. */
  readonly path: string;
  /** Dropped once its last reader is done. */
  readonly temp: boolean;
}

export type CellAction =
  /** A command. `text`: shell text (run by `sh -e -c`) or an argv list, with every template but `in.*` and `out.*` filled in. */
  | {
      readonly kind: 'shell';
      /** Parts in order; a string is literal shell text, `in`/`out` are filled with quoted paths when it runs. */
      readonly command: readonly CommandPart[] | readonly (readonly CommandPart[])[];
      readonly argv: boolean;
      /** `python3` → its version goes into the key. */
      readonly interpreter: string | null;
    }
  /** A typed stage. */
  | { readonly kind: 'module'; readonly uses: string; readonly file: string; readonly inputs: Readonly<Record<string, InputKind>> }
  /**
   * Names the survivors of a halving rung from its cohort's metrics; run by the runner itself. Its input `metrics` is a
   * gather of metrics files, one for each of `members`, in their order; its output `survivors` is
   * JSON whose `survivors` lists members.
   */
  | { readonly kind: 'decision'; readonly metric: string; readonly mode: 'min' | 'max'; readonly keep: number; readonly members: readonly string[] };

export type CommandPart = string | { readonly in: string } | { readonly out: string };

export interface Resources {
  /** Cores; 1 unless said. */
  readonly cpu: number;
  /** Bytes, or null when not said. */
  readonly memory: number | null;
  /** Number of GPUs, a fraction of one, or `prefer`: one if there is one. */
  readonly gpu: number | 'prefer';
  /** Bytes on each GPU, or null. */
  readonly gpuMemory: number | null;
  /** Own names with amounts. */
  readonly named: Readonly<Record<string, number>>;
}

export type RetryCause = 'exit' | 'oom' | 'preempted' | 'timeout';

export interface Retries {
  readonly times: number;
  /** Causes, or exit codes. */
  readonly on: readonly (RetryCause | number)[];
  readonly backoffMs: number;
  /** Resources multiplied by this on each retry. */
  readonly grow: Readonly<Record<string, number>>;
}

export interface Environment {
  /** Passed from the caller's environment and keyed by value. */
  readonly pass: readonly string[];
  /** Set, and keyed. */
  readonly set: Readonly<Record<string, string>>;
  /** Passed, never keyed, never stored, redacted in logs. */
  readonly secret: readonly string[];
}

/** What a stage says that is the same for all of its cells, or nearly always is: cells share one object where equal. */
export interface CellSettings {
  readonly resources: Resources;
  /** `local`, or a name in pipe.hosts.yaml. */
  readonly on: string;
  readonly checkpoint: boolean;
  readonly timeoutMs: number | null;
  readonly retries: Retries;
  readonly env: Environment;
  /** Never reused. */
  readonly always: boolean;
  /** False: not put into, nor taken from, a shared cache. */
  readonly shared: boolean;
  /** Manifest parts that are shown but left out of the key, such as `with.log_every`. */
  readonly ignore: readonly string[];
  /** Platform facts that belong in the key: some of `backend`, `threads`, `os`. */
  readonly platform: readonly string[];
  /** What a running cell does when `--watch` sees its key change. */
  readonly onChange: 'stop' | 'finish';
}

export interface StageDefinition {
  /** `train`, or `scaling/train` in a pipeline that includes the pipeline `scaling`. */
  readonly name: string;
  readonly summary: string | null;
  /** Names of the matrix's axes, in order; empty for a single cell. */
  readonly axes: readonly string[];
  /** `each: train`: the producer whose points it takes over. */
  readonly each: string | null;
  /** Stages that only have to come first. */
  readonly needs: readonly string[];
  /** Output name → path in the project that gets a copy. Only for stages without a matrix. */
  readonly publish: Readonly<Record<string, string>>;
  /** Index of the first cell, and how many there are: the cells of a stage lie together in `CellGraph.cells`. */
  readonly first: number;
  readonly count: number;
  /** Manifest part (`with.size`, `in.images`, `run`, `env.LANG` …) → where it and the params it uses were written. */
  readonly origins: Readonly<Record<string, readonly Origin[]>>;
  readonly origin: Origin;
}

/** One stage at one matrix point. */
export interface Cell {
  readonly index: number;
  readonly id: CellId;
  /** Index into `CellGraph.stages`. */
  readonly stage: number;
  readonly point: Point;
  readonly action: CellAction;
  /** Canonical params: templates filled in, a typed stage's defaults applied. */
  readonly with: JsonObject;
  readonly inputs: Readonly<Record<string, CellInput>>;
  readonly outputs: Readonly<Record<string, OutputDeclaration>>;
  /** Cells that only have to come first (`needs:`). */
  readonly needs: readonly number[];
  readonly settings: CellSettings;
  /**
   * A later rung of a halving: runs only if the decision cell lists this member among its survivors; else it is
   * *stopped*. The decision's index is greater than the cell's, as cells of a stage lie together: the one edge that
   * points forward. The guard is not part of the key.
   */
  readonly guard: { readonly decision: number; readonly member: string } | null;
}

/** A stage whose `when:` does not hold. */
export interface InactiveStage {
  readonly name: string;
  readonly when: string;
}

/** What the page shows: a table of a stage's cells, or a figure. */
export type ReportItem =
  | {
      readonly kind: 'table';
      readonly stage: string;
      readonly rows: string | null;
      readonly columns: readonly string[] | null;
      readonly title: string | null;
    }
  | { readonly kind: 'figure'; readonly stage: string; readonly output: string; readonly title: string | null }
  | { readonly kind: 'text'; readonly text: string };

/** A pipeline, expanded: every cell, producers before consumers (but for `guard`). */
export interface CellGraph {
  readonly pipeline: string;
  readonly title: string | null;
  /** Absolute path of the file that was asked for. */
  readonly file: string;
  /** Absolute path of the project's root. */
  readonly root: string;
  readonly profile: string | null;
  /** `--set` entries as given. */
  readonly overrides: readonly string[];
  /** Params as they stand after profile and overrides; an included pipeline's under its name. */
  readonly params: JsonObject;
  readonly stages: readonly StageDefinition[];
  readonly cells: readonly Cell[];
  readonly inactive: readonly InactiveStage[];
  readonly report: readonly ReportItem[];
  /** Every file that was read to make this, absolute: pipeline files, and each used stage's module closure. */
  readonly sources: readonly string[];
  /** What stages looked at, or for, to check their inputs, absolute: the graph is made anew when any of it changes. */
  readonly looked: readonly string[];
}

/** What planning needs to know of a typed stage; learned by loading its module once, cached by its closure. */
export interface StageInfo {
  readonly summary: string;
  readonly stageApi: number;
  readonly inputs: Readonly<Record<string, InputKind>>;
  readonly outputs: Readonly<Record<string, ArtefactKind>>;
  /** JSON Schema of the params, for editors, hints and documentation. */
  readonly params: JsonObject;
}

export type ParamsResult =
  | { readonly ok: true; readonly value: JsonObject }
  | { readonly ok: false; readonly issues: readonly { readonly path: readonly (string | number)[]; readonly message: string }[] };

/** How the language asks about typed stages, without knowing how modules are found, bundled and loaded. */
export interface StageCatalogue {
  /** Names of all typed stages there are (the project's and the shipped ones), for hints. */
  names(): readonly string[];
  /** The module file of `uses: NAME`, or null. */
  find(name: string): string | null;
  info(file: string): Promise<StageInfo>;
  /** Validates many params at once with the module's own zod schema and applies its defaults. */
  checkParams(file: string, values: readonly JsonObject[]): Promise<readonly ParamsResult[]>;
  /** What is wrong with inputs (null: not there yet), as the module's own `check` finds; null for one that has no such check. */
  checkInputs(file: string, given: readonly { readonly params: JsonObject; readonly inputs: Readonly<Record<string, string | null>> }[]): Promise<readonly (readonly InputProblem[])[] | null>;
  /** Every file whose change could change `info`: the module closure, absolute paths. */
  closureFiles(file: string): Promise<readonly string[]>;
}

export type { Json as JsonValue };
