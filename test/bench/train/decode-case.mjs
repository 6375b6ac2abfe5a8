/** JPEG files to squares of pixels: this engine, Pillow and torchvision, the same threads. */
import { jpegs, lacking, python, script, threads } from './places.mjs';
import { rounds } from './rounds.mjs';
import { fasterThan } from '../verdict.mjs';

/** @param {number} resolution @returns {import('../model.mjs').Case} */
export const decodeCase = resolution => ({
  name: `jpeg-${resolution}`,
  title: `JPEG files to ${resolution} × ${resolution} pixels`,
  async measure(bench) {
    const files = jpegs();
    if (files.length === 0) return { measured: [], verdicts: [], notes: ['no JPEG files: PIPE_BENCH_JPEGS names a folder; left out'] };
    const work = { files, resolution, threads };
    /** @type {import('./rounds.mjs').Worked[]} */
    const contestants = [{ subject: 'pipe', command: [process.execPath, bench.shared.get('engine')], work: { do: 'decode', ...work } }];
    const notes = [`${files.length} files, ${threads} threads each; a row is all files once, pixels of the shorter side to ${resolution}, bicubic, the middle cut out`];
    for (const [module, subject, way] of [['PIL', 'Pillow', 'pillow'], ['PIL', 'Pillow, draft mode', 'pillow_draft'], ['torchvision', 'torchvision', 'torchvision']]) {
      const reason = lacking(module);
      if (reason === null) contestants.push({ subject, command: [python ?? '', script('decode.py')], work: { do: 'decode', way, ...work } });
      else if (!notes.includes(reason)) notes.push(reason);
    }
    const measured = await rounds(contestants, bench.runs ?? 5, bench.say);
    const perSecond = measured.map(({ subject, samples }) => {
      const cpu = samples.map(({ userMs, systemMs }) => (userMs ?? 0) + (systemMs ?? 0)).sort((a, b) => a - b)[samples.length >> 1] ?? NaN;
      return `${subject} ${((1000 * files.length) / cpu).toFixed(0)}`;
    });
    return {
      measured,
      verdicts: [...fasterThan(measured, 'pipe', 'Pillow', 2), ...fasterThan(measured, 'pipe', 'torchvision', 1.3)],
      notes: [...notes, `images a second of processor time: ${perSecond.join(', ')}`],
    };
  },
});
