import { readFileSync, statSync } from 'node:fs';
import type { Origin, Position, StageDefinition } from './model.ts';
import { parseSource, positionOf } from './source-file.ts';
import type { SourceFile } from './source-file.ts';

const parsed = new Map<string, { readonly stamp: string; readonly source: SourceFile }>();

/** The place of a setting, from the file as it is now: parsed on demand, once a version. Null for the command line or a file that is gone. */
export function locate(origin: Origin): Position | null {
  if (origin.kind === 'command-line') return null;
  try {
    const stat = statSync(origin.file);
    const stamp = `${stat.mtimeMs} ${stat.size} ${stat.ino}`;
    let entry = parsed.get(origin.file);
    if (entry?.stamp !== stamp) {
      entry = { stamp, source: parseSource(origin.file, readFileSync(origin.file, 'utf8')) };
      parsed.set(origin.file, entry);
    }
    return positionOf(entry.source, origin.pointer);
  } catch {
    return null; // the file was moved since the plan was made
  }
}

/**
 * Where a manifest part such as `with.optimiser.rate` was written, and the params it uses: of the part itself, else of
 * the nearest part around it, else of the stage.
 */
export function originsOf(stage: StageDefinition, part: string): readonly Origin[] {
  for (let name = part; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
    const found = stage.origins[name];
    if (found) return found;
  }
  return [stage.origin];
}
