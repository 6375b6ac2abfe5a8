/** `pipe.hosts.yaml`: found, checked, and read into settings. zod and YAML are loaded only when there is such a file. */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { isMap } from '../pipeline/values.ts';
import type { HostSettings, Hosts } from './model.ts';

export const hostsFileName = 'pipe.hosts.yaml';

type Variables = Readonly<Record<string, string | undefined>>;

/** The project's file, else the user's; null when there is neither. */
export function findHostsFile(projectRoot: string, env: Variables): string | null {
  const home = env.HOME ?? homedir();
  const config = env.XDG_CONFIG_HOME === undefined || env.XDG_CONFIG_HOME === '' ? join(home, '.config') : env.XDG_CONFIG_HOME;
  return [join(projectRoot, hostsFileName), join(config, 'pipe', 'hosts.yaml')].find(path => existsSync(path)) ?? null;
}

/** Throws InvalidPipeline with every mistake of the file. */
export async function loadHosts(projectRoot: string, env: Variables): Promise<Hosts> {
  const file = findHostsFile(projectRoot, env);
  return file === null ? { file, entries: new Map() } : { file, entries: await readHostsFile(file, env) };
}

export async function readHostsFile(file: string, env: Variables): Promise<ReadonlyMap<string, HostSettings>> {
  const [{ parseSource }, { readValue, reportSyntax }, { Problems }, { noteShape }, { hostSchema, hostsFileSchema }, { hostSettings }] = await Promise.all([
    import('../pipeline/source-file.ts'), import('../pipeline/source-value.ts'), import('../pipeline/problems.ts'), import('./check-hosts.ts'), import('./schema.ts'),
    import('./host-settings.ts'),
  ]);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new PipeError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { exitCode: 2, code: 'missing-file', cause: error });
  }
  const problems = new Problems();
  const source = parseSource(file, text.replace(/^\uFEFF/, ''));
  problems.sources.set(file, source);
  reportSyntax(source, problems);
  problems.throwIfAny();
  const value = readValue(source, problems);
  if (!isMap(value)) {
    problems.add({ code: 'wrong-type', message: value === null ? 'the file is empty' : 'a hosts file is a map', at: { kind: 'file', file, pointer: '' }, hint: 'begin with `hosts:`' });
  }
  problems.throwIfAny();
  const parsed = hostsFileSchema.safeParse(value);
  if (!parsed.success) noteShape(file, value, parsed.error, problems);
  const entries = new Map<string, HostSettings>();
  // Of a file with mistakes too, each entry of a sound shape is looked at: all of them are told at once.
  const written = isMap(value) && isMap(value.hosts) ? value.hosts : {};
  for (const [name, entry] of Object.entries(written)) {
    const host = hostSchema.safeParse(entry);
    if (!host.success) continue;
    const settings = hostSettings(file, name, host.data, env, problems);
    if (settings !== null) entries.set(name, settings);
  }
  problems.throwIfAny();
  return entries;
}

/** `~/x` and paths relative to the file, as absolute paths. */
export function localPath(path: string, file: string, env: Variables): string {
  const home = env.HOME ?? homedir();
  if (path === '~') return home;
  return path.startsWith('~/') ? join(home, path.slice(2)) : resolve(join(file, '..'), path);
}
