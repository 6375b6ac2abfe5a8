/** A thread that looks at files' stats: one job, then it ends. */
import { parentPort } from 'node:worker_threads';
import { StatRow } from './stat-row.ts';
import { work } from './stat-tasks.ts';
import type { StatJob } from './stat-tasks.ts';

parentPort?.once('message', (job: StatJob) => {
  const known = new Map<number, StatRow | null>();
  work(job, folder => {
    let row = known.get(folder);
    if (row === undefined) {
      const { at, length } = job.folders[folder]!;
      row = StatRow.unpack(Buffer.from(job.rows, at, length));
      known.set(folder, row);
    }
    return row;
  });
});
