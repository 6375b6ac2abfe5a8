/** Where a shared cache is described: cheap to find out, so that a run that needs none reads no file. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Variables = Readonly<Record<string, string | undefined>>;

export const configName = 'pipe.cache.yaml';
export const urlVariable = 'PIPE_REMOTE_CACHE';
/** Variables of this prefix hold what no stage may see. */
export const variablePrefix = 'PIPE_REMOTE_CACHE';

/** `~/.config/pipe`, or where `XDG_CONFIG_HOME` says. */
export function userFolder(env: Variables): string {
  const base = env['XDG_CONFIG_HOME'];
  return join(base !== undefined && base !== '' ? base : join(env['HOME'] ?? homedir(), '.config'), 'pipe');
}

/** The project's file, else the user's; null when there is neither. */
export function findCacheFile(root: string, env: Variables): string | null {
  return [join(root, configName), join(userFolder(env), 'cache.yaml')].find(path => existsSync(path)) ?? null;
}

/** Whether there is a shared cache to ask at all. */
export function isSharedCacheConfigured(root: string, env: Variables): boolean {
  const url = env[urlVariable];
  if (url !== undefined && url !== '') return url !== 'off';
  return findCacheFile(root, env) !== null;
}

export function signingKeyFile(env: Variables): string {
  return join(userFolder(env), 'cache-key.pem');
}
