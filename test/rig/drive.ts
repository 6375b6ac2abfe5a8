/** A run in a process of its own, for tests that end it badly: `drive ROOT JOBS`. Events go to stdout, one a line. */
import { join } from 'node:path';
import { loadGraph } from '../../src/runner/plan/graph-cache.ts';
import { makePlan } from '../../src/runner/plan/planner.ts';
import { createLocalExecutor } from '../../src/runner/run/local.ts';
import { runPlan } from '../../src/runner/run/run-plan.ts';
import { openStore } from '../../src/runner/store/store.ts';

const [root, jobs, packageRoot, worker] = process.argv.slice(2) as [string, string, string, string];
const cache = join(root, 'cache');
const platform = { backend: 'test', threads: '2', os: 'linux-x64', interpreters: (command: string) => `${command} 1.0` };
const stop = new AbortController();
const kill = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => (stop.signal.aborted ? kill : stop).abort(name));

const graph = await loadGraph({ file: join(root, 'pipe.yaml'), profile: null, set: [], cache, packageRoot });
const store = openStore({ cache, mode: 'write' });
const plan = makePlan({ graph, store, targets: null, force: 'none', platform, packageRoot });
const executor = createLocalExecutor({ packageRoot, environment: process.env, worker });
const summary = await runPlan({
  plan, store, packageRoot, jobs: Number(jobs), keepGoing: true, backend: 'auto', budget: { gpuHours: null, wallMs: null }, executors: () => executor,
  signal: stop.signal, kill: kill.signal, platform, command: ['drive'], emit: event => void process.stdout.write(`${JSON.stringify(event)}\n`),
});
store.close();
process.exitCode = summary.exitCode;
