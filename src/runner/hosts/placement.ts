/** Where the cells of a graph run: what `--on` says, names that there are, and facts for keys. */
import { PipeError, InvalidPipeline } from '../diagnostic.ts';
import type { Diagnostic } from '../diagnostic.ts';
import type { CellGraph, CellSettings, StageDefinition } from '../pipeline/model.ts';
import { suggestion } from '../pipeline/suggest.ts';
import type { ElsewhereFacts } from '../plan/manifest.ts';
import { hostsFileName } from './hosts-file.ts';
import type { HostSettings, Hosts } from './model.ts';

/** Where cells are to run besides what their stages say: all on one host, or some, by their ids. */
export type Placement = string | ReadonlyMap<string, string>;

/** The graph with its cells placed there. */
export function placedOn(graph: CellGraph, where: Placement): CellGraph {
  const placed = new Map<string, Map<CellSettings, CellSettings>>();
  const settingsOf = (settings: CellSettings, on: string): CellSettings => {
    const known = placed.get(on) ?? new Map<CellSettings, CellSettings>();
    placed.set(on, known);
    let other = known.get(settings);
    if (other === undefined) known.set(settings, (other = settings.on === on ? settings : { ...settings, on }));
    return other;
  };
  return { ...graph, cells: graph.cells.map(cell => ({ ...cell, settings: settingsOf(cell.settings, typeof where === 'string' ? where : (where.get(cell.id) ?? cell.settings.on)) })) };
}

export const namesElsewhere = (graph: CellGraph): boolean => graph.cells.some(cell => cell.settings.on !== 'local');

/** Throws InvalidPipeline with every `on:` that names no host. */
export async function checkPlaces(graph: CellGraph, hosts: Hosts): Promise<void> {
  const wrong = new Map<string, { readonly stage: StageDefinition; readonly on: string }>();
  for (const cell of graph.cells) {
    const { on } = cell.settings;
    const stage = graph.stages[cell.stage]!;
    if (on !== 'local' && !hosts.entries.has(on)) wrong.set(`${stage.name} ${on}`, { stage, on });
  }
  if (wrong.size === 0) return;
  // Where it stands is looked up only now: that takes the YAML parser, which a run in which nothing changed does not load.
  const { locate } = await import('../pipeline/positions.ts');
  throw new InvalidPipeline([...wrong.values()].map(({ stage: { origin }, on }): Diagnostic => {
    const position = origin.kind === 'file' ? locate({ ...origin, pointer: `${origin.pointer}/on` }) : null;
    return { code: 'unknown-host', message: `there is no host \`${on}\``, position, hint: hintFor(on, hosts), related: [] };
  }));
}

export function unknownHost(name: string, hosts: Hosts): PipeError {
  return new PipeError(`there is no host ${name}`, { exitCode: 2, code: 'unknown-host', hint: hintFor(name, hosts) });
}

/** Throws PipeError for a name that there is not. */
export function chooseHosts(names: readonly string[], hosts: Hosts): readonly HostSettings[] {
  if (names.length === 0) return [...hosts.entries.values()];
  return [...new Set(names)].map(name => {
    const host = hosts.entries.get(name);
    if (name === 'local') throw new PipeError('local is this machine', { exitCode: 2, code: 'usage', hint: '`pipe doctor` checks it' });
    if (host === undefined) throw unknownHost(name, hosts);
    return host;
  });
}

function hintFor(name: string, hosts: Hosts): string {
  if (hosts.file === null) return `hosts are named in ${hostsFileName}, and there is none: cells run on \`local\`, this machine`;
  return suggestion(name, ['local', ...hosts.entries.keys()], `${hosts.file} has`) ?? '';
}

export function factsElsewhere(hosts: Hosts): (on: string) => ElsewhereFacts {
  return on => {
    const host = hosts.entries.get(on);
    if (host === undefined) throw unknownHost(on, hosts);
    return { name: on, file: hosts.file ?? hostsFileName, backend: host.platform.backend, os: host.platform.os, interpreters: host.interpreters };
  };
}
