/** Real daemons on loopback for the tests of this folder; `../setup.sh` installs them, `../daemons/NAME.sh` starts them. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe } from 'vitest';

const run = promisify(execFile);
const script = (name: string): string => fileURLToPath(new URL(`../daemons/${name}.sh`, import.meta.url));

/** Whether the daemon is installed here. */
export const hasDaemon = (name: string): boolean => spawnSync(script(name), ['present']).status === 0;

/** Tests that need daemons: without them they are skipped, and their name says why; in CI their absence is a failure. */
export function describeWith(daemons: readonly string[], name: string, tests: () => void): void {
  const absent = daemons.filter(daemon => !hasDaemon(daemon));
  if (absent.length === 0) {
    describe(name, tests);
    return;
  }
  const missing = `${absent.join(' and ')} ${absent.length === 1 ? 'is' : 'are'} not installed: test/services/setup.sh ${absent.join(' ')}`;
  if (process.env['CI'] === 'true') throw new Error(missing);
  describe.skip(`${name} (${missing})`, tests);
}

export interface Daemon {
  /** Its files; gone when it is stopped. */
  readonly folder: string;
  readonly ports: readonly number[];
  /** Another command of its script, with the folder as first argument. */
  tell(command: string, ...words: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it in a temporary folder and on free ports; `ports`: how many its script takes, `words`: what it takes besides. */
export async function startDaemon(name: string, ports: number, ...words: readonly string[]): Promise<Daemon> {
  const folder = mkdtempSync(join(tmpdir(), `pipe-${name}-`));
  const numbers = await freePorts(ports);
  const tell = async (command: string, ...words: readonly string[]): Promise<string> => (await run(script(name), [command, folder, ...words])).stdout;
  const remove = async (): Promise<void> => {
    await tell('stop');
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await tell('start', ...numbers.map(String), ...words);
  } catch (error) {
    await remove().catch(() => undefined);
    throw error;
  }
  return { folder, ports: numbers, tell, stop: remove };
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, () => new Promise<ReturnType<typeof createServer>>(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => resolve(server));
  })));
  const ports = servers.map(server => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
