/** Captions to CLIP's tokens: this engine, OpenAI's Python code and Hugging Face's Rust library, one thread each. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { captions, lacking, python, script } from './places.mjs';
import { rounds } from './rounds.mjs';
import { fasterThan } from '../verdict.mjs';

/** @type {import('../model.mjs').Case} */
export const tokenizeCase = {
  name: 'tokenize',
  title: "captions to CLIP's tokens, one thread",
  async measure(bench) {
    const lines = captions();
    if (lines.length === 0) return { measured: [], verdicts: [], notes: ['no captions: PIPE_BENCH_CAPTIONS names a file; left out'] };
    const file = join(bench.folder, 'captions.txt');
    writeFileSync(file, lines.join('\n'));
    /** @type {import('./rounds.mjs').Worked[]} */
    const contestants = [{ subject: 'pipe', command: [process.execPath, bench.shared.get('engine')], work: { do: 'tokenize', file } }];
    const notes = [`${lines.length} captions; a row is all of them once, in a fresh process`];
    for (const [modules, subject, way] of /** @type {const} */ ([[['clip', 'ftfy', 'regex'], "OpenAI's tokenizer", 'openai'], [['clip', 'tokenizers'], 'Hugging Face tokenizers', 'hugging_face']])) {
      const reason = lacking(...modules);
      if (reason === null) contestants.push({ subject, command: [python ?? '', script('tokenize_captions.py')], work: { do: 'tokenize', way, file }, env: { TOKENIZERS_PARALLELISM: 'false', RAYON_NUM_THREADS: '1' } });
      else if (!notes.includes(reason)) notes.push(reason);
    }
    const measured = await rounds(contestants, bench.runs ?? 5, bench.say, {
      fresh: true,
      verify: answers => void notes.push(`tokens: ${Object.entries(answers).map(([subject, { count }]) => `${subject} ${count}`).join(', ')}`),
    });
    return { measured, verdicts: [...fasterThan(measured, 'pipe', "OpenAI's tokenizer", 10), ...fasterThan(measured, 'pipe', 'Hugging Face tokenizers', 1)], notes };
  },
};
