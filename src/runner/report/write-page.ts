import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import type { Plan } from '../plan/model.ts';
import type { Store } from '../store/store.ts';
import { collectPage } from './collect.ts';
import { renderPage } from './page.ts';

/** Writes the page by rename, so that a browser never reads half of it. */
export function writePage(path: string, plan: Plan, store: Store, facts: { readonly madeAt: number; readonly program: string }): void {
  const html = renderPage(collectPage(plan, store, facts));
  try {
    mkdirSync(dirname(path), { recursive: true });
    const temporary = `${path}.${process.pid}`;
    writeFileSync(temporary, html);
    renameSync(temporary, path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PipeError(`the page ${path} cannot be written: ${why}`, { exitCode: 3, code: 'report-unwritable', cause: error });
  }
}
