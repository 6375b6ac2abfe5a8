import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { sharedPath } from './shared.ts';

export interface RocoMirror {
  /** Values for the stage's params of these names. */
  readonly pmcUrl: string;
  readonly textUrl: string;
  /** What the mirror has counted so far. */
  statistics(): Promise<Record<'requests' | 'listings' | 'metadata' | 'media' | 'text' | 'notFound' | 'bytes' | 'faults' | 'maxInFlight', number>>;
  setFaults(rates: { error?: number; truncate?: number; corrupt?: number; stall?: number }): Promise<void>;
  stop(): Promise<void>;
}

/** Starts the loopback mirror of ROCO's hosts as a child process on a free port. Flags are its own, without the dashes. */
export async function startRocoMirror(flags: Readonly<Record<string, number>> = {}): Promise<RocoMirror> {
  const argv = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn(process.execPath, [sharedPath('roco-mirror', 'serve.mjs'), ...argv], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const address = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    once(child, 'exit').then(([code]) => Promise.reject(new Error(`the mirror ended with exit code ${code}`))),
  ]);
  const get = async (path: string): Promise<unknown> => (await fetch(`${address}${path}`)).json();
  return {
    pmcUrl: address,
    textUrl: `${address}/razorx89/roco-dataset/master`,
    statistics: async () => (await get('/__stats')) as Awaited<ReturnType<RocoMirror['statistics']>>,
    setFaults: async rates => void (await get(`/__faults?${new URLSearchParams(Object.entries(rates).map(([kind, rate]): [string, string] => [kind, String(rate)]))}`)),
    async stop() {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    },
  };
}
