/** Training steps of this engine and of PyTorch on the same weights and batch, in turn. */
import { join } from 'node:path';
import { summary } from '../statistics.mjs';
import { lacking, python, script, threads } from './places.mjs';
import { Worker } from './worker.mjs';

/**
 * @typedef {object} Rival
 * @property {string} subject
 * @property {boolean} ours
 * @property {object} [options]  Of the engine's step.
 * @property {boolean} [compiled]  torch.compile.
 */

/** @typedef {{ subject: string, worker: Worker, first: number, loss: number, loaded: number, samples: import('../model.mjs').Sample[] }} Running */

/**
 * @param {{ name: string, title: string, model: { size: string, batch: number, context?: number }, rounds: number, each: number,
 *   rivals: readonly Rival[], judge: (rows: Judged) => import('../model.mjs').Verdict[] }} what
 *   `each` steps a round; two steps a program before the first are not counted.
 * @returns {import('../model.mjs').Case}
 */
export const stepCase = ({ name, title, model, rounds, each, rivals, judge }) => ({
  name,
  title,
  async measure(bench) {
    const reason = lacking('torch', 'safetensors', 'numpy');
    /** @type {Running[]} */
    const running = [];
    try {
      const writer = new Worker([process.execPath, bench.shared.get('engine')]);
      await writer.ask({ do: 'write', model, folder: bench.folder });
      await writer.end();
      for (const { subject, ours, options, compiled } of rivals) {
        if (!ours && reason !== null) continue;
        bench.say(`  first step: ${subject}`);
        const worker = ours
          ? new Worker([process.execPath, bench.shared.get('engine')])
          : new Worker([python ?? '', script('torch_steps.py')], { TORCHINDUCTOR_CACHE_DIR: join(bench.folder, 'inductor') });
        const loaded = await worker.ask({ do: 'load', threads, ...(compiled ? { compiled } : {}) });
        const built = await worker.ask({ do: 'build', model, folder: bench.folder, ...(ours ? { options } : { compiled }) });
        running.push({ subject, worker, first: built.ms, loss: built.loss, loaded: loaded.rss, samples: [] });
        await worker.ask({ do: 'steps', count: 2 });
      }
      const losses = running.map(({ loss }) => loss);
      const spread = Math.max(...losses) - Math.min(...losses);
      if (!(spread < 1e-3)) throw new Error(`the first losses differ: ${losses.join(', ')}`);
      for (let round = 0; round < (bench.runs ?? rounds); round++) {
        for (const { worker, samples, loaded, subject } of running) {
          const { wallMs, userMs, systemMs, peak, loss } = await worker.ask({ do: 'steps', count: each });
          if (!Number.isFinite(loss)) throw new Error(`${subject}: the loss is ${loss}`);
          for (let at = 0; at < each; at++) samples.push({ wallMs: wallMs[at], userMs: userMs[at], systemMs: systemMs[at], peakBytes: peak - loaded, output: '' });
        }
        bench.say(`  round ${round + 1}`);
      }
      const rows = judged(running);
      return {
        measured: running,
        verdicts: judge(rows),
        notes: [
          ...running.map(({ subject, first }) => `${subject}: first step after ${(first / 1000).toFixed(2)} s`),
          ...(running.length > 1 ? [`the same weights and batch; first losses agree within ${spread.toExponential(1)}`] : []),
          `${threads} threads each; a row is one step, peak memory is over what the loaded library takes`,
          ...(reason === null ? [] : [reason]),
        ],
      };
    } finally {
      for (const { worker } of running) await worker.end();
    }
  },
});

/**
 * @typedef {object} Judged
 * @property {(subject: string, other: string, times: number) => import('../model.mjs').Verdict[]} time
 * @property {(subject: string, other: string, times: number) => import('../model.mjs').Verdict[]} memory
 * @property {(subject: string, other: string, times: number) => import('../model.mjs').Verdict[]} first
 * @property {(subject: string, seconds: number) => import('../model.mjs').Verdict[]} firstWithin
 */

/** @param {readonly Running[]} running @returns {Judged} */
function judged(running) {
  const of = (/** @type {string} */ subject) => running.find(row => row.subject === subject);
  /** @type {(what: string, value: (row: Running) => number) => Judged['time']} */
  const ratio = (what, value) => (subject, other, times) => {
    const [own, peer] = [of(subject), of(other)];
    if (own === undefined || peer === undefined) return [];
    return [{ bar: `${what}: ${subject} ≤ ${times}× ${other}`, value: value(own) / value(peer), limit: times, direction: 'at most', unit: '×' }];
  };
  return {
    time: ratio('time', row => summary(row, 'wallMs')?.median ?? NaN),
    memory: ratio('memory', row => summary(row, 'peakBytes')?.max ?? NaN),
    first: ratio('first step', row => row.first),
    firstWithin(subject, seconds) {
      const own = of(subject);
      return own === undefined ? [] : [{ bar: `first step: ${subject} ≤ ${seconds} s`, value: own.first / 1000, limit: seconds, direction: 'at most', unit: 's' }];
    },
  };
}
