/** Training steps of this engine under patterns that allow fewer pairs of tokens, beside one that allows all, in turn. */
import { summary } from '../statistics.mjs';
import { threads } from './places.mjs';
import { Worker } from './worker.mjs';

const all = 'bidirectional';

/**
 * @param {{ context: number, batch: number, rounds: number, patterns: readonly string[] }} what  Names as the param `masking` has them.
 * @returns {import('../model.mjs').Case}
 */
export const attentionCase = ({ context, batch, rounds, patterns }) => ({
  name: `attention-${context}`,
  title: `training step of the text tower under patterns of attention, width 256, 6 layers, batch ${batch}, context ${context}`,
  async measure(bench) {
    /** @type {{ subject: string, worker: Worker, samples: import('../model.mjs').Sample[], pairs: number, loaded: number }[]} */
    const running = [];
    try {
      for (const subject of [all, ...patterns]) {
        const worker = new Worker([process.execPath, bench.shared.get('engine')]);
        const loaded = await worker.ask({ do: 'load', threads });
        const { pairs } = await worker.ask({ do: 'build', model: { size: 'd256l6', batch, context, attention: subject } });
        running.push({ subject, worker, samples: [], pairs, loaded: loaded.rss });
        await worker.ask({ do: 'steps', count: 2 });
        bench.say(`  built: ${subject}`);
      }
      for (let round = 0; round < (bench.runs ?? rounds); round++) {
        for (const { worker, samples, loaded } of running) {
          const { wallMs, userMs, systemMs, peak } = await worker.ask({ do: 'steps', count: 1 });
          samples.push({ wallMs: wallMs[0], userMs: userMs[0], systemMs: systemMs[0], peakBytes: peak - loaded, output: '' });
        }
        bench.say(`  round ${round + 1}`);
      }
      const time = (/** @type {typeof running[number]} */ row) => summary(row, 'wallMs')?.median ?? NaN;
      const user = (/** @type {typeof running[number]} */ row) => summary(row, 'userMs')?.median ?? NaN;
      const [full, ...others] = running;
      return {
        measured: running,
        verdicts: others.map(row => ({ bar: `time: ${row.subject} ≤ 1× ${all}`, value: time(row) / time(full), limit: 1, direction: 'at most', unit: '×' })),
        notes: [
          ...others.map(row => `${row.subject}: ${((100 * row.pairs) / full.pairs).toFixed(1)} % of the pairs, ${(user(row) / user(full)).toFixed(2)}× the processor time`),
          `${threads} threads; a row is one step, and each pattern has a process of its own`,
        ],
      };
    } finally {
      for (const { worker } of running) await worker.end();
    }
  },
});
