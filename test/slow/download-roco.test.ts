import { expect, it } from 'vitest';
import { readPairs, readPairsReport } from '../../src/study/data/pairs.ts';
import { stage } from '../../stages/download-roco.ts';
import { startRocoMirror } from '../rig/roco-mirror.ts';
import { hasShared } from '../rig/shared.ts';
import { runStage } from '../stages/data-stage.ts';

it.skipIf(!hasShared)('fetches all 4,645 figures of the test split that the mirror has, and reports the other 3,534 (needs the shared data)', async () => {
  const mirror = await startRocoMirror();
  try {
    const { outputs, metrics } = await runStage(stage, {
      params: { splits: ['test'], pmcUrl: mirror.pmcUrl, textUrl: mirror.textUrl, requestsPerSecond: 0, concurrency: 16 },
      inputs: {},
    });
    expect(metrics.get('figures')).toBe(4645);
    expect(await readPairs(outputs.pairs)).toHaveLength(4645);
    const { leftOut } = await readPairsReport(outputs.pairs);
    expect(leftOut).toHaveLength(8179 - 4645);
    expect(leftOut.every(row => row.kind === 'absent' && /^ROCO_\d+$/.test(row.id) && row.reason.includes('PMC'))).toBe(true);
    // An article is listed and read once, whatever the number of its figures.
    expect(await mirror.statistics()).toMatchObject({ listings: 7404, metadata: 4236 });
  } finally {
    await mirror.stop();
  }
}, 120_000);
