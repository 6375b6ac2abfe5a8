/** What the page of results shows, as plain data: `page.ts` only lays it out. */
import type { Json } from '../json.ts';

export interface ReportPage {
  readonly title: string;
  readonly pipeline: string;
  readonly profile: string | null;
  readonly overrides: readonly string[];
  /** Milliseconds since 1970. */
  readonly madeAt: number;
  readonly program: string;
  readonly counts: { readonly fresh: number; readonly stale: number; readonly stopped: number };
  readonly params: Readonly<Record<string, Json>>;
  /** What the last stages said, in their own words. */
  readonly conclusions: readonly { readonly stage: string; readonly text: string; readonly attempt: number }[];
  /** Cells that are fresh because somebody accepted what was there, on the page or behind it. */
  readonly accepted: readonly { readonly cell: string; readonly reason: string; readonly attempt: number }[];
  readonly items: readonly PageItem[];
  /** SVG of the stages. */
  readonly graph: string;
  /** One for each attempt that a number, a figure or the graph of the page came from. */
  readonly provenance: readonly Provenance[];
}

export type PageItem =
  | { readonly kind: 'table'; readonly title: string; readonly columns: readonly PageColumn[]; readonly rows: readonly PageRow[] }
  | { readonly kind: 'figure'; readonly title: string; readonly picture: Picture | null; readonly attempt: number | null; readonly mark: RowMark; readonly missing: string | null }
  | { readonly kind: 'text'; readonly text: string };

export interface PageColumn {
  readonly name: string;
  readonly kind: 'axis' | 'param' | 'metric';
}

/** `stale`: made with other settings than the pipeline has now; `stopped`: a halving left it out; `missing`: never made. */
export type RowMark =
  | { readonly state: 'fresh' }
  | { readonly state: 'accepted'; readonly why: string }
  | { readonly state: 'stale'; readonly why: string }
  | { readonly state: 'stopped'; readonly why: string }
  | { readonly state: 'missing'; readonly why: string };

export interface PageRow {
  readonly cell: string;
  readonly attempt: number | null;
  readonly mark: RowMark;
  readonly values: readonly (Json | undefined)[];
}

export type Picture =
  | { readonly kind: 'svg'; readonly text: string }
  | { readonly kind: 'image'; readonly mime: string; readonly base64: string };

export interface Provenance {
  readonly attempt: number;
  readonly cell: string;
  readonly run: number;
  readonly key: string;
  readonly status: string;
  readonly host: string;
  readonly startedAt: number;
  readonly durationMs: number | null;
  readonly cpuSeconds: number | null;
  readonly peakMemoryBytes: number | null;
  readonly platform: Readonly<Record<string, Json>>;
  /** The parts of its fingerprint: code, params, inputs' digests and what else is in the key. */
  readonly manifest: readonly { readonly part: string; readonly value: Json; readonly ignored: boolean }[];
  readonly outputs: readonly { readonly name: string; readonly digest: string; readonly size: number; readonly files: number }[];
}
