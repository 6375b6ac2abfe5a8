import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { InvalidPipeline } from '../../../../src/runner/diagnostic.ts';
import type { Diagnostic } from '../../../../src/runner/diagnostic.ts';
import { loadPipeline } from '../../../../src/runner/pipeline/load.ts';
import type { CellGraph, StageCatalogue } from '../../../../src/runner/pipeline/model.ts';
import { study } from './catalogue.ts';

/** A folder with these files that is gone after the test. */
export function project(files: Readonly<Record<string, string>>): string {
  const folder = write(files);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function write(files: Readonly<Record<string, string>>): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-language-')));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

export interface LoadSettings {
  readonly profile?: string;
  readonly set?: readonly string[];
  readonly catalogue?: StageCatalogue;
  /** Other files of the project. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Loads a pipeline from its text. */
export async function load(text: string, settings: LoadSettings = {}): Promise<CellGraph> {
  const folder = write({ 'package.json': '{}', 'pipe.yaml': text, ...settings.files });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return loadPipeline({ file: join(folder, 'pipe.yaml'), profile: settings.profile ?? null, set: settings.set ?? [], catalogue: settings.catalogue ?? study() });
}

/** The mistakes of a pipeline text; none when it is sound. */
export async function mistakes(text: string, settings: LoadSettings = {}): Promise<readonly Diagnostic[]> {
  try {
    await load(text, settings);
    return [];
  } catch (error) {
    if (error instanceof InvalidPipeline) return error.diagnostics;
    throw error;
  }
}

export const ids = (graph: CellGraph): string[] => graph.cells.map(cell => cell.id);
