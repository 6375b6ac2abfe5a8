import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { closest, listNames } from './suggest.ts';

/** Going up from the pipeline file, the nearest folder that holds `package.json`, `pipelines/` or `.git`; else the file's own. */
export function findProjectRoot(file: string): string {
  const own = dirname(resolve(file));
  for (let folder = own; ; folder = dirname(folder)) {
    if (['package.json', '.git'].some(name => existsSync(join(folder, name))) || isFolder(join(folder, 'pipelines'))) return folder;
    if (dirname(folder) === folder) return own;
  }
}

/**
 * The pipeline file to work on, absolute. A name is looked up as given, then in `pipelines/`; without a name it is
 * `pipe.yaml` here, or the only file in `pipelines/`. Throws PipeError (exit 2) with the choices otherwise.
 */
export function findPipelineFile(name: string | null, cwd: string): string {
  if (name !== null) return findNamed(name, cwd);
  const own = join(cwd, 'pipe.yaml');
  if (isFile(own)) return own;
  const files = pipelineFiles(join(cwd, 'pipelines'));
  if (files.length === 1) return join(cwd, 'pipelines', files[0]!);
  if (files.length === 0) {
    throw new PipeError('there is no pipe.yaml here and no file in pipelines/', {
      exitCode: 2, code: 'no-pipeline', hint: 'name a file, or start a project with `pipe init`',
    });
  }
  throw new PipeError(`pipelines/ holds ${files.length} pipelines: ${listNames(files)}`, {
    exitCode: 2, code: 'which-pipeline', hint: `name one, for example \`pipe run ${files[0]}\``,
  });
}

function findNamed(name: string, cwd: string): string {
  for (const path of [resolve(cwd, name), resolve(cwd, 'pipelines', name)]) if (isFile(path)) return path;
  const choices = [...pipelineFiles(cwd), ...pipelineFiles(join(cwd, 'pipelines'))];
  const meant = closest(name, choices);
  throw new PipeError(`there is no pipeline file ${name}, neither here nor in pipelines/`, {
    exitCode: 2,
    code: 'no-pipeline',
    hint: meant !== null ? `did you mean \`${meant}\`?` : choices.length > 0 ? `there are: ${listNames(choices)}` : null,
  });
}

function pipelineFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter(name => /\.ya?ml$/.test(name) && isFile(join(folder, name))).sort();
  } catch {
    return []; // no such folder: no choices
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
