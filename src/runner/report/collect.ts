/** From a plan and the results database to the page's data. */
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import type { ReportItem } from '../pipeline/model.ts';
import type { Plan } from '../plan/model.ts';
import { outputsOf } from '../store/history.ts';
import type { Artefact } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { collectNotes } from './final-notes.ts';
import { graphSvg } from './graph-svg.ts';
import type { PageItem, Picture, Provenance, ReportPage } from './page-model.ts';
import { attemptOf, defaultColumns, flatten, kindOfColumn, markOf, resultRows, valueOf } from './result-rows.ts';
import { stageGraph } from './stage-graph.ts';

export function collectPage(plan: Plan, store: Store, facts: { readonly madeAt: number; readonly program: string }): ReportPage {
  const { graph } = plan;
  const items = graph.report.length > 0 ? graph.report.map(item => pageItem(item, plan, store)) : defaultTables(plan, store);
  const conclusions = collectNotes(plan, store);
  const attempts = new Set<number>(conclusions.map(conclusion => conclusion.attempt));
  const accepted = acceptedCells(plan);
  for (const { attempt } of accepted) attempts.add(attempt);
  for (const item of items) {
    if (item.kind === 'table') for (const row of item.rows) if (row.attempt !== null) attempts.add(row.attempt);
    if (item.kind === 'figure' && item.attempt !== null) attempts.add(item.attempt);
  }
  return {
    title: graph.title ?? graph.pipeline,
    pipeline: graph.pipeline,
    profile: graph.profile,
    overrides: graph.overrides,
    madeAt: facts.madeAt,
    program: facts.program,
    counts: {
      fresh: plan.cells.filter(cell => cell.state === 'fresh').length,
      stale: plan.cells.filter(cell => cell.state === 'run' || cell.state === 'pending').length,
      stopped: plan.cells.filter(cell => cell.state === 'stopped').length,
    },
    params: flatten(graph.params),
    conclusions,
    accepted,
    items,
    graph: graphSvg(stageGraph(graph, plan)),
    provenance: [...attempts].sort((a, b) => a - b).flatMap(attempt => provenanceOf(attempt, store)),
  };
}

function acceptedCells({ graph, cells }: Plan): ReportPage['accepted'] {
  return cells.flatMap(({ cell, state, record }) =>
    state === 'fresh' && record !== null && record.accepted !== null
      ? [{ cell: graph.cells[cell]?.id ?? '', reason: record.accepted, attempt: record.attempt }]
      : []);
}

/** A pipeline that lists nothing gets a table of each stage that has metrics. */
export function defaultTables(plan: Plan, store: Store): Extract<PageItem, { kind: 'table' }>[] {
  return plan.graph.stages
    .map(stage => tableItem({ kind: 'table', stage: stage.name, rows: null, columns: null, title: stage.name }, plan, store))
    .filter(table => table.columns.some(column => column.kind === 'metric'));
}

function pageItem(item: ReportItem, plan: Plan, store: Store): PageItem {
  switch (item.kind) {
    case 'text':
      return item;
    case 'figure':
      return figureItem(item, plan, store);
    case 'table':
      return tableItem(item, plan, store);
  }
}

export function tableItem(item: Extract<ReportItem, { kind: 'table' }>, plan: Plan, store: Store): Extract<PageItem, { kind: 'table' }> {
  const stage = plan.graph.stages.find(other => other.name === item.stage);
  const cells = stage === undefined ? [] : Array.from({ length: stage.count }, (_, i) => stage.first + i);
  const rows = resultRows(plan, store, cells);
  const found = defaultColumns(rows);
  const axes = found.filter(column => column.kind === 'axis').sort((a, b) => Number(b.name === item.rows) - Number(a.name === item.rows));
  const wanted = item.columns?.filter(name => !axes.some(axis => axis.name === name)).map(name => ({ name, kind: kindOfColumn(name, rows) }));
  const columns = [...axes, ...(wanted ?? found.filter(column => column.kind !== 'axis'))];
  return {
    kind: 'table',
    title: item.title ?? stage?.summary ?? item.stage,
    columns: columns.length === 0 ? [{ name: 'cell', kind: 'axis' }] : columns,
    rows: rows.map(row => ({
      cell: row.cell.id,
      attempt: row.attempt,
      mark: row.mark,
      values: columns.length === 0 ? [row.cell.id] : columns.map(column => valueOf(row, column.name)),
    })),
  };
}

function figureItem(item: Extract<ReportItem, { kind: 'figure' }>, plan: Plan, store: Store): PageItem {
  const stage = plan.graph.stages.find(other => other.name === item.stage);
  const planned = stage === undefined ? undefined : plan.cells[stage.first];
  const title = item.title ?? `${item.stage}.${item.output}`;
  if (planned === undefined) return { kind: 'figure', title, picture: null, attempt: null, mark: { state: 'missing', why: 'no such stage' }, missing: 'its stage is not active' };
  const attempt = attemptOf(planned, plan, store);
  const mark = markOf(planned, attempt, plan, store);
  const artefact = attempt === null ? undefined : outputsOf(store.database, attempt)[item.output];
  const picture = artefact === undefined ? null : readPicture(artefact, store);
  const missing = picture !== null ? null : attempt === null ? `${title} has not been made yet` : `${title} is not in the cache any more`;
  return { kind: 'figure', title, picture, attempt, mark, missing };
}

const imageTypes: Readonly<Record<string, string>> = {
  '.png': 'image/png', '.jpg': 'image/jpeg', '.jpeg': 'image/jpeg', '.webp': 'image/webp', '.gif': 'image/gif',
};

/** By its content, since a typed stage's output need not have an extension. A folder shows its first picture. */
function readPicture(artefact: Artefact, store: Store): Picture | null {
  if (artefact.type !== 'file' || store.artefacts.present(artefact) !== 'here') return null;
  const bytes = readFileSync(store.artefacts.pathOf(artefact));
  const start = bytes.subarray(0, 4096).toString('utf8');
  if (/<svg[\s>]/.test(start)) return { kind: 'svg', text: bytes.toString('utf8') };
  const mime = imageTypes[extname(artefact.name).toLowerCase()] ?? sniff(bytes);
  return mime === null ? null : { kind: 'image', mime, base64: bytes.toString('base64') };
}

function sniff(bytes: Buffer): string | null {
  if (bytes.subarray(0, 4).equals(Buffer.from([0x89, 0x50, 0x4e, 0x47]))) return 'image/png';
  if (bytes.subarray(0, 2).equals(Buffer.from([0xff, 0xd8]))) return 'image/jpeg';
  return null;
}

function provenanceOf(id: number, store: Store): Provenance[] {
  const attempt = store.results.attempt(id);
  if (attempt === null) return [];
  return [{
    attempt: id,
    cell: attempt.cell,
    run: attempt.run,
    key: attempt.actionKey ?? attempt.planKey,
    status: attempt.status,
    host: attempt.host,
    startedAt: attempt.startedAt,
    durationMs: attempt.endedAt === null ? null : attempt.endedAt - attempt.startedAt,
    cpuSeconds: attempt.cpuSeconds,
    peakMemoryBytes: attempt.peakMemoryBytes,
    platform: { ...attempt.platform, ...(attempt.gpu === null ? {} : { gpu: attempt.gpu }) },
    manifest: store.results.manifestOf(id).map(part => ({ part: part.part, value: part.value, ignored: part.ignored === true })),
    outputs: Object.entries(outputsOf(store.database, id)).map(([name, artefact]) => ({ name, digest: artefact.digest, size: artefact.size, files: artefact.files })),
  }];
}
