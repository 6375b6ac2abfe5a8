/** Another run on the same cache, as a process that can be killed. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { RunEvent } from '../../src/runner/run/event.ts';
import { buildProgram } from './build.ts';
import { packageRoot } from './project.ts';

export interface OtherRun {
  readonly events: readonly RunEvent[];
  readonly process: ChildProcess;
  /** Resolves with the first event of that kind, also when it has happened already. */
  seen<K extends RunEvent['event']>(kind: K): Promise<Extract<RunEvent, { event: K }>>;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

export async function startRun(root: string, jobs = 2): Promise<OtherRun> {
  const [program, worker] = await Promise.all([buildProgram('test/rig/drive.ts'), buildProgram('src/runner/run/stage-worker.ts')]);
  const child = spawn(process.execPath, [program, root, String(jobs), packageRoot, worker], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const events: RunEvent[] = [];
  const waiting: { kind: string; resolve: (event: RunEvent) => void }[] = [];
  createInterface({ input: child.stdout! }).on('line', line => {
    const event = JSON.parse(line) as RunEvent;
    events.push(event);
    for (const waiter of waiting) if (waiter.kind === event.event) waiter.resolve(event);
  });
  return {
    events,
    process: child,
    seen: async kind => {
      const there = events.find(({ event }) => event === kind);
      return (there ?? (await new Promise<RunEvent>(resolve => waiting.push({ kind, resolve })))) as Extract<RunEvent, { event: typeof kind }>;
    },
    ended: once(child, 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null })),
  };
}
