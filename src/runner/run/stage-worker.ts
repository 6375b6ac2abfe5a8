/**
 * The process a typed stage runs in: `stage-worker.js JOB.json` does one job and ends, with the exit codes of `runCell`;
 * `stage-worker.js --serve` does those that come through the lifeline.
 */
import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { runCell, Stopped, stoppedExitCode } from './worker-cell.ts';
import { lifelineVariable, serveFlag } from './worker-job.ts';
import type { WorkerJob } from './worker-job.ts';
import { serve } from './worker-serve.ts';

const [, , argument] = process.argv;
if (argument === undefined) {
  process.stderr.write(`usage: stage-worker JOB.json | ${serveFlag}\n`);
  process.exit(2);
}
const lifeline = openLifeline(process.env[lifelineVariable]);
if (argument !== serveFlag) await doOne(JSON.parse(readFileSync(argument, 'utf8')) as WorkerJob);
else if (lifeline !== null) await serve(lifeline);
else {
  process.stderr.write(`${serveFlag} needs ${lifelineVariable}\n`);
  process.exit(2);
}

async function doOne(job: WorkerJob): Promise<never> {
  const stop = new AbortController();
  const ask = (why: string) => (): void => stop.abort(new Stopped(why));
  process.on('SIGTERM', ask('asked to stop'));
  process.on('SIGINT', ask('asked to stop'));
  // It closes when the process that started this one is gone, however that ended.
  lifeline?.once('close', () => {
    ask('the run that started this stage is gone')();
    setTimeout(() => process.exit(stoppedExitCode), 10_000).unref();
  });
  lifeline?.resume();
  lifeline?.unref();
  const { code } = await runCell(job, { signal: stop.signal, instance: 0 });
  // Not by an empty event loop: what a stage leaves open (sockets, worker threads) must not hold it.
  process.exit(code);
}

function openLifeline(descriptor: string | undefined): Socket | null {
  if (descriptor === undefined) return null;
  const socket = new Socket({ fd: Number(descriptor), readable: true, writable: true });
  socket.on('error', () => undefined);
  return socket;
}
