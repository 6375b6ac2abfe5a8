/**
 * Several jobs one after the other in this process, as long as each leaves it as it found it: the folder, environment and log
 * are each job's own, and a job that left anything behind is the last one.
 */
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { runCell, Stopped, stoppedExitCode } from './worker-cell.ts';
import type { WorkerAnswer, WorkerJob, WorkerOrder } from './worker-job.ts';
import { rememberProcessState } from './worker-state.ts';
import type { ProcessState } from './worker-state.ts';

/** Modules that were loaded anew are never freed. */
const mostJobs = 200;
const mostGrowthBytes = 128 * 2 ** 20;

export async function serve(lifeline: Socket): Promise<never> {
  let stop: AbortController | null = null;
  const ask = (why: string) => (): void => {
    if (stop === null) process.exit(stoppedExitCode);
    stop.abort(new Stopped(why));
  };
  process.on('SIGTERM', ask('asked to stop'));
  process.on('SIGINT', ask('asked to stop'));
  lifeline.once('close', () => {
    ask('the run that started this stage is gone')();
    setTimeout(() => process.exit(stoppedExitCode), 10_000).unref();
  });
  const answer = (message: WorkerAnswer): Promise<void> => new Promise(resolve => lifeline.write(`${JSON.stringify(message)}\n`, () => resolve()));
  let firstBytes = 0;
  let jobs = 0;
  let state: ProcessState | null = null;
  for await (const line of createInterface({ input: lifeline })) {
    const order = JSON.parse(line) as WorkerOrder;
    stop = new AbortController();
    settleIn(order, jobs);
    for (const file of order.stateless ?? []) await import(pathToFileURL(file).href);
    state ??= rememberProcessState();
    lifeline.unref();
    let begun = false;
    const { code, stage } = await runCell(JSON.parse(readFileSync(order.job, 'utf8')) as WorkerJob, {
      signal: stop.signal,
      instance: jobs,
      begun() {
        begun = true;
        void answer({ begun });
      },
    }).catch((error: unknown) => {
      if (begun) throw error;
      // A process that has not loaded it before may do better.
      return process.exit(stoppedExitCode);
    });
    const stopped = stop.signal.aborted;
    stop = null;
    jobs++;
    const bytes = process.memoryUsage.rss();
    if (jobs === 1) firstBytes = bytes;
    // Packages of a stage that says that it does not mind may have made this process theirs at the first job.
    if (jobs === 1 && stage?.warm === true) state = rememberProcessState();
    const keep: boolean = (stage?.warm ?? order.stateless !== null) && !stopped && jobs < mostJobs && bytes < firstBytes + mostGrowthBytes && (await state.isAsBefore());
    // Nobody can remove the folder that a process works in from under it, and nobody should take this one for that job's.
    process.chdir('/');
    await answer({ code, keep });
    if (!keep) process.exit(code);
    lifeline.ref();
  }
  process.exit(0);
}

/** As the process would have been started for this job. */
function settleIn({ log, cwd, environment }: WorkerOrder, jobs: number): void {
  process.chdir(cwd);
  for (const name of Object.keys(process.env)) if (!Object.hasOwn(environment, name)) delete process.env[name];
  Object.assign(process.env, environment);
  // Log and account of the first are those that the process was started with.
  if (jobs === 0) return;
  // The lowest free descriptor is what an opened file gets, and 0 is taken.
  for (const descriptor of [1, 2]) {
    closeSync(descriptor);
    if (openSync(log, 'a') !== descriptor) process.exit(stoppedExitCode);
  }
  try {
    // Lets the kernel forget the most memory held so far: the next one's peak is its own.
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // not Linux: it is the process's peak then
  }
}
