/** Who can supply artefacts that are not here: then a record that names them is as good as one whose files lie here. */
import type { Artefact, Digest } from './model.ts';

export interface ArtefactSupply {
  /** Whether it is said to be there. Cheap, and asks nobody. */
  has(digest: Digest): boolean;
  /** Brings it here. False when it could not, which then has been said; `has` is false from then on if nothing better is to be hoped for. */
  restore(artefact: Artefact): Promise<boolean>;
  /** Ends what is going on. */
  close(): void;
}
