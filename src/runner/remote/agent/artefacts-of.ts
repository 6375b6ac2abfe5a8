/** The artefacts that a job reads. */
import type { Artefact } from '../../store/model.ts';
import type { HostJob } from '../protocol.ts';

export function artefactsOf(job: HostJob): Artefact[] {
  return Object.values(job.inputs).flatMap(input => (input.kind === 'gather' ? input.items.flatMap(({ artefact }) => artefact ?? []) : [input.artefact]));
}
