import { readdir } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readPairs } from '../../src/study/data/pairs.ts';
import { stage } from '../../stages/download-roco.ts';
import { startRocoMirror } from '../rig/roco-mirror.ts';
import { hasShared } from '../rig/shared.ts';
import { runStage, temporaryFolder } from './data-stage.ts';

const fast = { splits: ['test'] as ('test')[], requestsPerSecond: 0, concurrency: 16 };

it.skipIf(!hasShared)('downloads, and downloads nothing again with a store or a checkpoint (needs the shared data)', async () => {
  const mirror = await startRocoMirror();
  try {
    const root = await temporaryFolder();
    const params = { ...fast, pmcUrl: `${mirror.pmcUrl}/`, textUrl: mirror.textUrl, limit: 30, store: 'downloads' };
    const first = await runStage(stage, { params, inputs: {}, projectRoot: root });
    expect(await readPairs(first.outputs.pairs)).toHaveLength(30);
    expect(first.metrics.get('figures')).toBe(30);
    expect(first.metrics.get('left_out_absent')).toBeGreaterThan(0);
    expect(first.notes.at(-1)).toMatch(/^30 figures; left out, each with its reason in report\.json: \d+ absent/);
    expect(await readdir(root)).toEqual(['downloads']);
    const media = (await mirror.statistics()).media;
    const second = await runStage(stage, { params: { ...params, limit: 20 }, inputs: {}, projectRoot: root });
    expect([second.metrics.get('figures'), second.metrics.get('figures_reused'), (await mirror.statistics()).media]).toEqual([20, 20, media]);
    const resumed = await runStage(stage, { params: { ...params, store: null, limit: 10 }, inputs: {}, checkpoint: join(root, 'downloads') });
    expect(resumed.metrics.get('figures_reused')).toBe(10);
    const alone = await runStage(stage, { params: { ...params, store: null, limit: 10 }, inputs: {} });
    expect((await readPairs(alone.outputs.pairs)).length).toBe(10);
  } finally {
    await mirror.stop();
  }
});

describe('what goes wrong', () => {
  it('says which host is down, which param names it, and that nothing is lost', async () => {
    const server = createServer();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await new Promise(resolve => server.close(resolve));
    const store = await temporaryFolder();
    await expect(runStage(stage, { params: { ...fast, pmcUrl: url, textUrl: url, retries: 1, store }, inputs: {} }))
      .rejects.toThrow(new RegExp(`captions\\.txt: connection refused \\(ECONNREFUSED\\); 2 attempts.*Is this machine online, and is textUrl \\(${url}\\) right\\? What was fetched is kept`));
  });
  it.each([
    [{ pmcUrl: 'ftp://x' }, 'pmcUrl'], [{ splits: [] }, 'splits'], [{ splits: ['dev'] }, 'splits.0'], [{ requestsPerSecond: -1 }, 'requestsPerSecond'], [{ limit: 0 }, 'limit'], [{ rate: 3 }, ''],
  ])('refuses %j at the param that is wrong', (params, path) => {
    expect(stage.params.safeParse(params).error?.issues[0]?.path.join('.')).toBe(path);
  });
});
