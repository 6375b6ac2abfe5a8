import { setTimeout as wait } from 'node:timers/promises';

/**
 * Files that were written a moment ago are hashed again by every program that keeps the racy rule, git too. What is
 * measured here is the state that holds from some seconds later on.
 * @param {import('./model.mjs').Bench} bench
 */
export async function settle(bench) {
  bench.say('  waiting until no file is younger than the resolution of clocks');
  await wait(2500);
}
