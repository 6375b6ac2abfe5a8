import { existsSync } from 'node:fs';
import { dirname, isAbsolute, join, relative } from 'node:path';

/** The folder that paths in a stage's key are relative to: the package for a stage that is shipped, else the project. */
export function baseOfStage(file: string, options: { readonly root: string; readonly packageRoot: string }): string {
  const path = relative(join(options.packageRoot, 'stages'), file);
  return !path.startsWith('..') && !isAbsolute(path) ? options.packageRoot : options.root;
}

/** The folder of this package, whether the program runs from `src/` or as built in `dist/`. */
export function ownPackageRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (dirname(folder) === folder) throw new Error(`no package.json above ${import.meta.dirname}`);
  }
}
