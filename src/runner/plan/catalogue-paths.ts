import { isAbsolute, join, relative } from 'node:path';

/** The folder that paths in a stage's key are relative to: the package for a stage that is shipped, else the project. */
export function baseOfStage(file: string, options: { readonly root: string; readonly packageRoot: string }): string {
  const path = relative(join(options.packageRoot, 'stages'), file);
  return !path.startsWith('..') && !isAbsolute(path) ? options.packageRoot : options.root;
}
