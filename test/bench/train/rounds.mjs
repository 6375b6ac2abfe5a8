/** Programs that each do the same work in turn, in processes that answer with what it took, so that no start is timed. */
import { Worker } from './worker.mjs';

/** @typedef {{ subject: string, command: readonly string[], work: object, env?: Readonly<Record<string, string>> }} Worked */

/**
 * Each does its work once untimed, then once a round. Their answers hold wallMs, userMs and systemMs.
 * @param {readonly Worked[]} contestants @param {number} count @param {(text: string) => void} say
 * @param {{ verify?: (answers: Readonly<Record<string, any>>) => void, fresh?: boolean }} [options]  `verify` is given each one's
 *   first answer, by subject; `fresh` starts a process for each round, for work that goes into a cache.
 * @returns {Promise<import('../model.mjs').Measured[]>}
 */
export async function rounds(contestants, count, say, { verify = () => {}, fresh = false } = {}) {
  const workers = contestants.map(({ command, env }) => new Worker(command, env));
  try {
    /** @type {Record<string, any>} */
    const first = {};
    for (const [index, { subject, work }] of contestants.entries()) first[subject] = await workers[index].ask(work);
    verify(first);
    const measured = contestants.map(({ subject }) => ({ subject, samples: /** @type {import('../model.mjs').Sample[]} */ ([]) }));
    for (let round = 0; round < count; round++) {
      for (const [index, { work, command, env }] of contestants.entries()) {
        if (fresh) {
          await workers[index].end();
          workers[index] = new Worker(command, env);
        }
        const { wallMs, userMs, systemMs } = await workers[index].ask(work);
        measured[index].samples.push({ wallMs, userMs, systemMs, peakBytes: null, output: '' });
      }
      say(`  round ${round + 1}`);
    }
    return measured;
  } finally {
    for (const worker of workers) await worker.end();
  }
}
