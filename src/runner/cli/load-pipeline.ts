/** From the command line to the pipeline. */
import { findPipelineFile } from '../pipeline/project.ts';
import type { CellGraph } from '../pipeline/model.ts';
import { loadGraph } from '../plan/graph-cache.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext } from './context.ts';
import { fileAndTargets } from './options.ts';
import type { PipelineOptions } from './options.ts';

export interface LoadedPipeline {
  readonly graph: CellGraph;
  readonly cache: string;
  /** As written on the command line. */
  readonly targets: readonly string[];
}

/** Where the command was called. */
export type Place = Pick<CliContext, 'cwd' | 'env' | 'packageRoot'>;

export async function loadPipelineOf(words: readonly string[], options: PipelineOptions, context: Place): Promise<LoadedPipeline> {
  const { file: name, targets } = fileAndTargets(words, options.file);
  const file = findPipelineFile(name, context.cwd);
  const cache = cacheFolder(options.cache, file, context);
  const graph = await loadGraph({ file, profile: options.profile ?? null, set: options.set, cache, packageRoot: context.packageRoot });
  return { graph, cache, targets };
}
