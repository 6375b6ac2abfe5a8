/** What is known of a stage while its pipeline is expanded. */
import type { JsonObject } from '../json.ts';
import type { Matrix } from './matrix.ts';
import type { InputKind } from '../../stage.ts';
import type { OutputDeclaration, Point, StageInfo } from './model.ts';
import type { Namespace } from './namespace.ts';
import type { ParamSet } from './params.ts';
import type { StageYaml } from './schema.ts';

export interface StageState {
  /** `train`, or `scaling/train`. */
  readonly name: string;
  readonly shortName: string;
  readonly namespace: Namespace;
  readonly params: ParamSet;
  readonly file: string;
  readonly pointer: string;
  /** Null when its shape was wrong. */
  readonly yaml: StageYaml | null;
  /** As written, keys in their order. */
  readonly raw: JsonObject;
  /** Keys that `yaml` lacks because what they hold was wrong. */
  readonly broken: ReadonlySet<string>;
  /** The text of a `when:` that does not hold. */
  inactive: string | null;
  /** A typed stage's module. */
  module: { readonly uses: string; readonly file: string; readonly info: StageInfo } | null;
  /** Null for a command, whose inputs take anything. */
  inputKinds: Readonly<Record<string, InputKind>> | null;
  /** Null when they are not known, because of a mistake elsewhere. */
  outputs: Readonly<Record<string, OutputDeclaration>> | null;
  /** Set once it is expanded without a mistake. */
  expanded: ExpandedStage | null;
}

export interface ExpandedStage {
  readonly matrix: Matrix;
  /** Index of its first cell in the graph. */
  readonly first: number;
  /** Axes (joined by commas) → their values in a point → indices of cells, relative to `first`. */
  readonly indexes: Map<string, Map<string, number[]>>;
  /** The points themselves → indices of cells in the graph, once somebody looks: stages with `each:` have the very same. */
  byPoint: ReadonlyMap<Point, number> | null;
}
