/**
 * What the program has made for itself in `code/` and `plans/` and will not use again: bundles of stages that are gone or were
 * edited since, of another program's version, and expanded pipelines whose files changed.
 */
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Json } from '../json.ts';
import { listNames } from '../store/cache-size.ts';
import { bundlePath, outsideOf } from './bundle.ts';
import type { Closure } from './closure.ts';
import { graphInUse } from './graph-cache.ts';

export interface StaleFile {
  readonly path: string;
  readonly bytes: number;
}

/** Younger ones may be about to be used. */
const graceMs = 3_600_000;

/** To be asked while no stage runs: one that does may load more of its bundle. */
export function findStaleFiles(cache: string, packageRoot: string, now: number): StaleFile[] {
  const plans = join(cache, 'plans');
  const code = join(cache, 'code');
  const used = new Set<string>();
  for (const name of listNames(plans)) {
    const path = join(plans, name);
    if (/^closure-.*\.json$/.test(name)) {
      const closure = readClosure(path);
      if (closure === null || !existsSync(closure.entry)) continue;
      used.add(path).add(join(plans, `stage-${closure.digest.slice(0, 32)}.json`));
      addBundle(bundlePath(closure, { cache, packageRoot }), used);
    } else if (/^graph-[0-9a-f]+\.json$/.test(name)) {
      const body = graphInUse(path, packageRoot);
      if (body !== null) used.add(path).add(body);
    }
  }
  const made = [
    ...listNames(plans).filter(name => /^(closure|graph|stage)-.*\.json$/.test(name)).map(name => join(plans, name)),
    ...listNames(code).filter(name => name.endsWith('.mjs')).map(name => join(code, name)),
  ];
  return made.flatMap(path => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    return used.has(path) || stat === undefined || stat.ctimeMs > now - graceMs ? [] : [{ path, bytes: stat.size }];
  });
}

/** With what it names beside itself: flat packages, and bundles of the modules that it starts as workers. */
function addBundle(bundle: string, used: Set<string>): void {
  if (used.has(bundle)) return;
  used.add(bundle);
  let outside: readonly string[];
  try {
    outside = outsideOf(bundle);
  } catch {
    return; // not made yet
  }
  for (const path of outside) if (dirname(path) === dirname(bundle)) addBundle(join(dirname(bundle), basename(path)), used);
}

function readClosure(path: string): Closure | null {
  try {
    const stored = JSON.parse(readFileSync(path, 'utf8')) as { readonly closure?: Json };
    const closure = stored.closure as unknown as Closure | undefined;
    return typeof closure?.entry === 'string' && typeof closure.digest === 'string' ? closure : null;
  } catch {
    return null; // of another version, or half written by a crash
  }
}
