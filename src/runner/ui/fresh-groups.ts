/**
 * Fresh cells come in long rows: cells of one stage that follow each other become one line, so that a matrix of
 * ten thousand does not scroll the rest away.
 */
import type { EventOf } from './lines.ts';

export type Finished = EventOf<'cell.finished'>;

export interface FreshGroups {
  /** Takes a fresh cell; gives back the group that it closes. */
  add(event: Finished): readonly Finished[];
  /** The group so far. */
  flush(): readonly Finished[];
}

export function createFreshGroups(): FreshGroups {
  let group: Finished[] = [];
  const flush = (): readonly Finished[] => {
    const done = group;
    group = [];
    return done;
  };
  return {
    add(event) {
      const closed = group.length > 0 && group[0]?.stage !== event.stage ? flush() : [];
      group.push(event);
      return closed;
    },
    flush,
  };
}
