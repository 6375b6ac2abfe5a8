/** A job's inputs as paths on this host. */
import { join } from 'node:path';
import type { JobInput } from '../../run/executor.ts';
import type { HostInput, HostJob } from '../protocol.ts';
import type { HostStore } from './host-store.ts';

export function jobInputsHere(store: HostStore, job: HostJob): Record<string, JobInput> {
  return Object.fromEntries(Object.entries(job.inputs).map(([name, input]) => [name, inputHere(store, input)]));
}

function inputHere(store: HostStore, input: HostInput): JobInput {
  switch (input.kind) {
    case 'artefact':
      return { kind: 'artefact', artefact: input.artefact, path: store.pathOf(input.artefact) };
    case 'path':
      return { kind: 'path', path: store.pathOf(input.artefact) };
    case 'glob': {
      const root = store.pathOf(input.artefact);
      return { kind: 'glob', paths: input.paths.map(path => join(root, path)) };
    }
    case 'gather':
      return { kind: 'gather', items: input.items.map(item => ({ ...item, path: item.artefact === null ? null : store.pathOf(item.artefact) })) };
  }
}
