/** Whether an output on disk is what an artefact is, and in what it differs. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ArtefactStore } from './artefacts.ts';
import { measure, measureOutput } from './measure-output.ts';
import type { Entry } from './measure-output.ts';
import { isExecutable, shownPath } from './file-bytes.ts';
import type { Artefact } from './model.ts';

const namedFiles = 5;

/** Null when it is the same in every byte, name, type and executable bit; else what differs, in words. */
export async function compareOutput(artefacts: ArtefactStore, recorded: Artefact, path: string): Promise<string | null> {
  const now = await measureOutput(path, recorded.name);
  if (now.artefact.digest === recorded.digest) return null;
  if (now.artefact.type !== recorded.type) return `it was a ${recorded.type} and is a ${now.artefact.type}`;
  const before = artefacts.pathOf(recorded);
  if (artefacts.present(recorded) !== 'here') return `it has another digest; what it was before is not here any more`;
  if (recorded.type === 'file') return fileDifference(before, path, now.entries[0]!, measure(before, recorded.name).entries[0]!);
  return folderDifference(measure(before, recorded.name).entries, now.entries);
}

function fileDifference(before: string, now: string, entryNow: Entry, entryBefore: Entry): string {
  const at = firstDifference(before, now);
  if (at === null) return isExecutable(entryNow.stat) === isExecutable(entryBefore.stat) ? 'it changed while it was compared' : 'its executable bit differs';
  const [was, is] = [entryBefore.stat.size, entryNow.stat.size];
  return `${was === is ? `${is} bytes, as before` : `${is} bytes, ${was} before`}; the first that differs is byte ${at + 1}`;
}

/** Offset of the first byte that differs; the shorter one's end counts. Null when none does. */
function firstDifference(before: string, now: string): number | null {
  const size = 1 << 20;
  const files = [openSync(before, 'r'), openSync(now, 'r')] as const;
  try {
    const [a, b] = [Buffer.allocUnsafe(size), Buffer.allocUnsafe(size)];
    for (let offset = 0; ; ) {
      const [n, m] = [readSync(files[0], a, 0, size, offset), readSync(files[1], b, 0, size, offset)];
      const both = Math.min(n, m);
      if (a.compare(b, 0, both, 0, both) !== 0) {
        let at = 0;
        while (a[at] === b[at]) at++;
        return offset + at;
      }
      if (n !== m && both < size) return offset + both;
      if (both === 0) return null;
      offset += both;
    }
  } finally {
    for (const file of files) closeSync(file);
  }
}

function folderDifference(before: readonly Entry[], now: readonly Entry[]): string {
  const was = new Map(before.filter(isLeaf).map(entry => [entry.relative, entry]));
  const is = new Map(now.filter(isLeaf).map(entry => [entry.relative, entry]));
  const changed = [...is].filter(([name, entry]) => was.has(name) && !sameEntry(was.get(name)!, entry)).map(([name]) => name);
  const parts = [
    part('differs', 'differ', changed),
    part('is new', 'are new', [...is.keys()].filter(name => !was.has(name))),
    part('is missing', 'are missing', [...was.keys()].filter(name => !is.has(name))),
  ].filter(text => text !== '');
  return parts.length === 0 ? 'its empty folders differ' : parts.join('; ');
}

const isLeaf = ({ stat }: Entry): boolean => !stat.isDirectory();
const sameEntry = (a: Entry, b: Entry): boolean =>
  Buffer.compare(a.digest, b.digest) === 0 && a.stat.isSymbolicLink() === b.stat.isSymbolicLink() && isExecutable(a.stat) === isExecutable(b.stat);

function part(one: string, many: string, names: readonly string[]): string {
  if (names.length === 0) return '';
  const shown = names.slice(0, namedFiles).map(shownPath).join(', ');
  return names.length === 1 ? `${shown} ${one}` : `${names.length} files ${many}: ${shown}${names.length > namedFiles ? ', …' : ''}`;
}
