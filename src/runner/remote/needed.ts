/** What a job needs on a host: its inputs, its code, a tensor backend; each described, so that what is missing there can be sent. */
import { join } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { Job } from '../run/executor.ts';
import type { Artefact, Digest } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { stageCode } from './code.ts';
import type { StageCode } from './code.ts';
import { gatheredShipment, pathShipment, storedShipment } from './describe.ts';
import type { Shipment } from './describe.ts';
import type { HostFacts, HostInput } from './protocol.ts';

/** The native tensor backend that a choice means here, as files that work on another machine of this kind; null: there is none. */
export type PortableBackends = (choice: string, gpus: boolean) => Promise<{ readonly identity: string; readonly files: ReadonlyMap<string, string> } | null>;

export interface Needed {
  readonly inputs: Readonly<Record<string, HostInput>>;
  readonly shipments: ReadonlyMap<Digest, () => Shipment>;
  readonly code: StageCode | null;
  /** A tensor backend that is sent there. */
  readonly backend: Artefact | null;
}

export interface NeededOptions {
  /** Of the host. */
  readonly name: string;
  readonly store: Store;
  readonly packageRoot: string;
  readonly portable: PortableBackends;
}

/** Describes it all; nothing is sent yet. */
export async function gatherNeeded(job: Job, facts: HostFacts, options: NeededOptions): Promise<Needed> {
  const { store, packageRoot, name: host } = options;
  const { cell, inputs, bundle, projectRoot } = job;
  const shipments = new Map<Digest, () => Shipment>();
  const stored = (artefact: Artefact): Artefact => {
    shipments.set(artefact.digest, () => {
      if (store.artefacts.present(artefact) === 'here') return storedShipment(store, artefact);
      store.artefacts.forgetElsewhere(artefact.digest, host);
      throw new PipeError(`${artefact.name}, an input, is neither here nor on ${host} any more`, { exitCode: 1, code: 'input-gone', hint: 'run again: it is made anew' });
    });
    return artefact;
  };
  const shipped = (shipment: Shipment): Artefact => {
    shipments.set(shipment.artefact.digest, () => shipment);
    return shipment.artefact;
  };
  const hostInput = (name: string): HostInput => {
    const input = inputs[name]!;
    switch (input.kind) {
      case 'artefact': return { kind: 'artefact', artefact: stored(input.artefact) };
      case 'gather': return { kind: 'gather', items: input.items.map(({ point, cell: id, artefact, status }) => ({ point, cell: id, artefact: artefact === null ? null : stored(artefact), status })) };
      case 'path': return { kind: 'path', artefact: shipped(pathShipment(store, input.path)) };
      case 'glob': {
        const places = input.paths.map((path, index) => (path.startsWith(`${projectRoot}/`) ? path.slice(projectRoot.length + 1) : `outside/${index}/${path.split('/').at(-1)!}`));
        return { kind: 'glob', artefact: shipped(gatheredShipment(store, 'files', new Map(places.map((place, index) => [place, input.paths[index]!])))), paths: places };
      }
    }
  };
  const hostInputs = Object.fromEntries(Object.keys(inputs).map(name => [name, hostInput(name)]));
  const code = cell.action.kind !== 'module' || bundle === null ? null : await stageCode(bundle, cell.action.file, {
    store, projectRoot, packageRoot, placeThere: ({ digest, name }) => join(facts.folder, 'store', 'artefacts', digest, name),
  });
  for (const shipment of code?.shipments ?? []) shipped(shipment);
  const backend = code === null ? null : await backendFor(job.backend, facts, options);
  if (backend !== null) shipped(backend);
  return { inputs: hostInputs, shipments, code, backend: backend?.artefact ?? null };
}

/** This machine's, where the host is of its kind and has none of its own. */
async function backendFor(choice: string, { os, backends, gpus }: HostFacts, { store, portable }: NeededOptions): Promise<Shipment | null> {
  if (backends.length > 0 || os !== `${process.platform}-${process.arch}`) return null;
  const found = await portable(choice, gpus.length > 0);
  if (found === null) return null;
  const { identity, files } = found;
  return gatheredShipment(store, 'backends', new Map([...files].map(([place, path]) => [`${identity}/${place}`, path])));
}
