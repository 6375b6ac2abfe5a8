/** Warm-ups, then rounds in which each contestant runs once: whatever the machine does meanwhile, it does to all of them. */
import { measure } from './measure.mjs';

/**
 * @param {readonly import('./model.mjs').Contestant[]} contestants
 * @param {number} rounds
 * @param {(text: string) => void} say
 * @returns {Promise<import('./model.mjs').Measured[]>}
 */
export async function interleave(contestants, rounds, say) {
  for (const contestant of contestants) {
    for (let warmup = 0; warmup < (contestant.warmups ?? 1); warmup++) {
      say(`  warm-up: ${contestant.subject}`);
      await contestant.before?.(-1 - warmup);
      await contestant.verify?.(await measure(contestant), -1 - warmup);
    }
  }
  const measured = contestants.map(({ subject }) => ({ subject, samples: /** @type {import('./model.mjs').Sample[]} */ ([]) }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, contestant] of contestants.entries()) {
      if (round >= (contestant.atMost ?? Infinity)) continue;
      await contestant.before?.(round);
      const sample = await measure(contestant);
      await contestant.verify?.(sample, round);
      measured[index].samples.push(sample);
      say(`  ${round + 1}/${rounds} ${contestant.subject}: ${(sample.wallMs / 1000).toFixed(3)} s`);
    }
  }
  return measured;
}
