import { join, resolve } from 'node:path';
import { findProjectRoot } from '../pipeline/project.ts';
import type { CliContext } from './context.ts';

/** `--cache`, else `PIPE_CACHE`, else `cache/` in the project of the pipeline file, or of the folder we are in. */
export function cacheFolder(option: string | undefined, file: string | null, context: Pick<CliContext, 'cwd' | 'env'>): string {
  const named = option ?? context.env['PIPE_CACHE'];
  if (named !== undefined && named !== '') return resolve(context.cwd, named);
  return join(findProjectRoot(file ?? join(context.cwd, 'pipe.yaml')), 'cache');
}
