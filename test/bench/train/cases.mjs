import { attentionCase } from './attention-case.mjs';
import { decodeCase } from './decode-case.mjs';
import { tokenizeCase } from './tokenize-case.mjs';
import { stepCase } from './step-case.mjs';
import { threads } from './places.mjs';
import { Worker } from './worker.mjs';

const [ours, eager, compiled] = ['pipe', 'PyTorch eager', 'torch.compile'];
/** @type {readonly import('./step-case.mjs').Rival[]} */
const three = [{ subject: ours, ours: true }, { subject: eager, ours: false }, { subject: compiled, ours: false, compiled: true }];

const twoTowers = (/** @type {string} */ size, /** @type {number} */ each, /** @type {number} */ overEager, /** @type {number} */ overCompiled) =>
  stepCase({
    name: `step-${size}`,
    title: `training step of two towers, ${size}, batch 64`,
    model: { size, batch: 64 },
    rounds: 8,
    each,
    rivals: three,
    judge: rows => [
      ...rows.time(ours, eager, overEager),
      ...rows.time(ours, compiled, overCompiled),
      ...rows.firstWithin(ours, 3),
      ...rows.first(ours, compiled, 0.3),
    ],
  });

const longText = (/** @type {number} */ context) =>
  stepCase({
    name: `context-${context}`,
    title: `training step of the text tower, width 256, 6 layers, batch 8, context ${context}`,
    model: { size: 'd256l6', batch: 8, context },
    rounds: 6,
    each: 1,
    rivals: three.slice(0, 2),
    judge: rows => [...rows.time(ours, eager, 1), ...rows.memory(ours, eager, 1.2)],
  });

/** @type {import('../model.mjs').Case} */
const jsShare = {
  name: 'js-share',
  title: "JavaScript's share of a step with its batch drawn and cut, n3, batch 64",
  async measure(bench) {
    const worker = new Worker([process.execPath, bench.shared.get('engine')]);
    try {
      await worker.ask({ do: 'load', threads });
      const shares = [];
      for (let round = 0; round < (bench.runs ?? 3); round++) shares.push(await worker.ask({ do: 'share', model: { size: 'n3', batch: 64 }, count: 8 }));
      const { share, ms } = shares.sort((a, b) => a.share - b.share)[shares.length >> 1];
      return {
        measured: [],
        verdicts: [{ bar: 'outside TensorFlow: ≤ 5 %', value: 100 * share, limit: 5, direction: 'at most', unit: '%' }],
        notes: [`a step with its batch takes ${ms.toFixed(0)} ms`],
      };
    } finally {
      await worker.end();
    }
  },
};

/** @type {import('../model.mjs').Case} */
const halves = {
  name: 'bfloat16',
  title: 'a small model trained for 150 steps in float32 and with bfloat16 products',
  async measure(bench) {
    const worker = new Worker([process.execPath, bench.shared.get('engine')]);
    try {
      await worker.ask({ do: 'load', threads });
      const full = await worker.ask({ do: 'learn', steps: 150, options: {} });
      const half = await worker.ask({ do: 'learn', steps: 150, options: { precision: 'bfloat16' } });
      const line = (/** @type {string} */ name, /** @type {typeof full} */ { first, loss, ms }) =>
        `${name}: loss ${first.toFixed(4)} at the first step, ${loss.toFixed(4)} over the last ten; ${ms.toFixed(1)} ms a step`;
      return { measured: [], verdicts: [], notes: [line('float32', full), line('bfloat16', half), `the loss differs by ${(half.loss - full.loss).toFixed(4)} nats`] };
    } finally {
      await worker.end();
    }
  },
};

/** @type {readonly import('../model.mjs').Case[]} */
export const trainCases = [
  twoTowers('n2', 4, 0.85, 1),
  twoTowers('n3', 3, 0.85, 1),
  twoTowers('n4', 2, 1, 1.1),
  twoTowers('n5', 1, 1, 1.1),
  longText(248),
  longText(512),
  ...[248, 512].map(context => attentionCase({ context, batch: 8, rounds: 6, patterns: ['causal', 'window-32', 'blocks-32', 'bigbird-16-3-1'] })),
  stepCase({
    name: 'vit-b32',
    title: 'training step of ViT-B/32 with its text tower, 151 M parameters, batch 16',
    model: { size: 'B/32', batch: 16 },
    rounds: 2,
    each: 1,
    rivals: three.slice(0, 2),
    judge: rows => [...rows.time(ours, eager, 1), ...rows.memory(ours, eager, 1.3)],
  }),
  jsShare,
  halves,
  decodeCase(64),
  decodeCase(224),
  tokenizeCase,
];
