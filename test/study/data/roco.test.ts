import { createHash } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readPairs, readPairsReport } from '../../../src/study/data/pairs.ts';
import type { DownloadProgress } from '../../../src/study/data/progress.ts';
import { downloadRoco } from '../../../src/study/data/roco.ts';
import type { RocoOptions } from '../../../src/study/data/roco.ts';
import { startRocoMirror } from '../../rig/roco-mirror.ts';
import type { RocoMirror } from '../../rig/roco-mirror.ts';
import { hasShared, sharedPath } from '../../rig/shared.ts';

let root: string;
beforeAll(async () => { root = await mkdtemp(join(tmpdir(), 'roco-')); });
afterAll(() => rm(root, { recursive: true }));
const folder = (): Promise<string> => mkdtemp(join(root, 'f-'));
const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('hex');

const options: Omit<RocoOptions, 'pmcUrl' | 'textUrl'> = {
  splits: ['test'], kind: 'radiology', limit: null, licences: [], requestsPerSecond: 0, concurrency: 16, retries: 6, timeoutSeconds: 5, failuresAllowed: 0,
};

describe.skipIf(!hasShared)('ROCO from the mirror (needs the shared data)', () => {
  let mirror: RocoMirror;
  let md5s: Map<string, string>;
  beforeAll(async () => {
    mirror = await startRocoMirror({ seed: 5 });
    interface Media { md5: string; roco_id: string }
    const articles = JSON.parse(await readFile(sharedPath('roco-mirror', 'articles.json'), 'utf8')) as Record<string, { media: Record<string, Media> }>;
    md5s = new Map(Object.values(articles).flatMap(article => Object.values(article.media).map(media => [media.roco_id, media.md5] as const)));
  });
  afterAll(() => mirror?.stop());
  afterEach(() => mirror.setFaults({ error: 0, truncate: 0, corrupt: 0, stall: 0 }));
  const run = (out: string, store: string, change: Partial<RocoOptions> = {}, hooks: Parameters<typeof downloadRoco>[3] = {}): ReturnType<typeof downloadRoco> =>
    downloadRoco({ ...options, pmcUrl: mirror.pmcUrl, textUrl: mirror.textUrl, ...change }, out, store, hooks);

  it('gets every figure and none wrong through errors, cut bodies, wrong bytes and stalls', async () => {
    await mirror.setFaults({ error: 0.05, truncate: 0.05, corrupt: 0.03, stall: 0.02 });
    const [out, store] = [await folder(), await folder()];
    const steps: DownloadProgress[] = [];
    const summary = await run(out, store, { limit: 300, concurrency: 32, timeoutSeconds: 0.3 }, { onProgress: step => steps.push(step) });
    await mirror.setFaults({ error: 0, truncate: 0, corrupt: 0, stall: 0 });
    const pairs = await readPairs(out);
    expect([summary.pairs, pairs.length]).toEqual([300, 300]);
    for (const pair of pairs) expect(md5(await readFile(join(out, String(pair.image))))).toBe(md5s.get(pair.id));
    expect(summary.http.retried).toBeGreaterThan(20);
    expect(summary.http.resumed).toBeGreaterThan(0);
    const { leftOut } = await readPairsReport(out);
    for (const row of leftOut) expect([row.kind, md5s.has(row.id)]).toEqual(['absent', false]);
    expect(leftOut[0]).toMatchObject({ kind: 'absent', reason: expect.stringMatching(/^PMC\d+ is not in the PMC Cloud Service$/) });
    expect(steps.at(-1)).toMatchObject({ total: 300, done: 300 });
    expect(steps.at(-1)?.rate).toBeGreaterThan(0);

    // The same again, at another speed, without faults: the same bytes, and no figure is fetched twice.
    const [again, before] = [await folder(), await mirror.statistics()];
    const second = await run(again, store, { limit: 300, concurrency: 3 });
    expect(second.reused).toBe(300);
    expect((await mirror.statistics()).media).toBe(before.media);
    for (const file of ['pairs.jsonl', 'report.json']) expect(await readFile(join(again, file), 'utf8')).toBe(await readFile(join(out, file), 'utf8'));

    // A larger limit fetches the difference only.
    const more = await run(await folder(), store, { limit: 320 });
    expect([more.pairs, (await mirror.statistics()).media - before.media]).toEqual([320, expect.toSatisfy((n: number) => n < 60)]);
  });

  it('has licence, article and concepts with each row, and filters by licence', async () => {
    const [out, store] = [await folder(), await folder()];
    await run(out, store, { limit: 60 });
    const pairs = await readPairs(out);
    expect(pairs.every(pair => /^PMC\d+$/.test(pair.group) && pair.split === 'test' && /^CC/.test(pair.licence) && pair.licenceInRoco !== undefined)).toBe(true);
    expect(pairs.some(pair => (pair.concepts ?? []).length > 3)).toBe(true);
    expect(pairs.map(pair => pair.id)).toEqual(pairs.map(pair => pair.id).toSorted());
    const free = await folder();
    await run(free, store, { limit: 30, licences: ['CC BY', 'CC0'] });
    expect(new Set((await readPairs(free)).map(pair => pair.licence))).toEqual(new Set(['CC BY']));
    const dropped = (await readPairsReport(free)).leftOut.filter(row => row.kind === 'licence');
    expect(dropped[0]?.reason).toMatch(/the licence of PMC\d+ is CC BY-N.* not among those asked for/);
  });

  it('goes on where it was interrupted, past a torn journal and a torn figure', async () => {
    const [out, store] = [await folder(), await folder()];
    const controller = new AbortController();
    const stop = (step: DownloadProgress): void => { if (step.done >= 1) controller.abort(new Error('interrupted')); };
    await expect(run(out, store, { limit: 150, concurrency: 4 }, { signal: controller.signal, onProgress: stop })).rejects.toThrow('interrupted');
    await run(await folder(), store, { limit: 40 });
    const fetched = (await readdir(join(store, 'figures'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile());
    expect(fetched.length).toBeGreaterThanOrEqual(40);
    expect(fetched.every(entry => /^[0-9a-f]{32}$/.test(entry.name))).toBe(true);
    const torn = fetched[0];
    if (torn === undefined) throw new Error('no figure was kept');
    await writeFile(join(torn.parentPath, torn.name), 'torn');
    await appendFile(join(store, 'journal.jsonl'), '{"pmcid":"PMC1');
    const summary = await run(out, store, { limit: 150 });
    expect(summary.pairs).toBe(150);
    expect(summary.reused).toBeGreaterThanOrEqual(35);
    for (const pair of await readPairs(out)) expect(md5(await readFile(join(out, String(pair.image))))).toBe(md5s.get(pair.id));
  });

  it('takes the figures of train from the licences, with the captions there are', async () => {
    const [out, store] = [await folder(), await folder()];
    await expect(run(out, store, { splits: ['train'], pmcUrl: `${mirror.pmcUrl}/nowhere` }))
      .rejects.toThrow(/^25 figures in a row failed, the last one ROCO_\d+: .*nowhere: the listing of PMC\d+ answers HTTP 404/);
    // No figure of train is in the mirror: ask for a few articles only, and see what is said of the others.
    const controller = new AbortController();
    const notes: string[] = [];
    await expect(run(out, store, { splits: ['train'] }, {
      signal: controller.signal, onNote: note => notes.push(note), onProgress: () => controller.abort(new Error('enough')),
    })).rejects.toThrow('enough');
    expect(notes[0]).toMatch(/^17752 figures of \d+ articles are listed in train$/);
  });
});

/** A host of one's own making: path → answer. */
async function host(answers: (path: string) => { status?: number; body: string | Buffer } | undefined): Promise<{ url: string; stop: () => void }> {
  const server = createServer((req, res) => {
    const answer = answers(decodeURIComponent(req.url ?? ''));
    if (answer === undefined) res.writeHead(404).end();
    else res.writeHead(answer.status ?? 200).end(answer.body);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, stop: () => { server.closeAllConnections(); server.close(); } };
}

const jpeg = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.from('a figure')]);
const listing = (...keys: string[]): string => `<?xml version="1.0"?><ListBucketResult>${keys.map(key => `<Contents><Key>${key}</Key></Contents>`).join('')}</ListBucketResult>`;
const metadata = (pmcid: string, version: number, media: string[], more = {}): string => JSON.stringify({ pmcid, version, is_retracted: false, license_code: 'CC BY', media_urls: media, ...more });

describe('ROCO from hosts that are not right', () => {
  const rows = 9;
  const texts: Record<string, string> = {
    'captions.txt': Array.from({ length: rows }, (_, index) => `ROCO_0000${index + 1}\t CT ${index + 1}`).join('\n'),
    'dlinks.txt': Array.from({ length: rows }, (_, index) => `ROCO_0000${index + 1}\twget /PMC${index + 1}.tar.gz -P x\tf.jpg`).join('\n'),
    'licences.txt': 'ROCO_ID,PMC_ID,CC\nROCO_00001,PMC1_f.jpg,CC BY-NC\nROCO_00099,PMC99_f.jpg,CC BY',
  };
  const good = (pmcid: string, version = 1): string => `s3://b/${pmcid}.${version}/f.jpg?md5=${md5(jpeg)}`;
  const answers: Record<string, string | Buffer> = {
    // 1: the newest version by number, among ids that only begin alike
    '/?list-type=2&prefix=metadata/PMC1.': listing('metadata/PMC1.2.json', 'metadata/PMC1.10.json', 'metadata/PMC11.99.json'),
    '/metadata/PMC1.10.json': metadata('PMC1', 10, [good('PMC1', 10)]),
    '/PMC1.10/f.jpg': jpeg,
    '/?list-type=2&prefix=metadata/PMC2.': listing('metadata/PMC2.1.json'),
    '/metadata/PMC2.1.json': metadata('PMC2', 1, [`s3://b/PMC2.1/f.jpg?md5=${md5(Buffer.from('another'))}`]),
    '/PMC2.1/f.jpg': '<!DOCTYPE html><p>Log in',
    '/?list-type=2&prefix=metadata/PMC3.': listing('metadata/PMC3.1.json'),
    '/?list-type=2&prefix=metadata/PMC4.': '<html>a portal</html>',
    '/?list-type=2&prefix=metadata/PMC5.': listing('metadata/PMC5.1.json'),
    '/metadata/PMC5.1.json': metadata('PMC5', 1, [good('PMC5')], { is_retracted: true }),
    '/?list-type=2&prefix=metadata/PMC6.': listing('metadata/PMC6.1.json'),
    '/metadata/PMC6.1.json': metadata('PMC7', 1, [good('PMC6')]),
    '/?list-type=2&prefix=metadata/PMC7.': listing('metadata/PMC7.1.json'),
    '/metadata/PMC7.1.json': metadata('PMC7', 1, ['s3://b/PMC7.1/other.jpg', 's3://b/../../etc/f.jpg', 's3://b/PMC1.10/f.jpg']),
    '/?list-type=2&prefix=metadata/PMC8.': listing('metadata/PMC8.1.json'),
    '/metadata/PMC8.1.json': metadata('PMC8', 1, [`s3://b/PMC8.1/f.jpg?md5=${'0'.repeat(32)}`]),
    '/PMC8.1/f.jpg': jpeg,
    '/?list-type=2&prefix=metadata/PMC9.': listing('metadata/PMC9.1.json'),
    '/metadata/PMC9.1.json': metadata('PMC9', 1, ['s3://b/PMC9.1/f.jpg'], { license_code: '' }),
    '/PMC9.1/f.jpg': jpeg,
  };

  it('reports each trouble by id and reason, and takes the rest', async () => {
    const server = await host(path => {
      const text = /^\/text\/data\/test\/radiology\/(.+)$/.exec(path)?.[1];
      const body = text === undefined ? answers[path] : texts[text];
      return body === undefined ? undefined : { body };
    });
    try {
      const out = await folder();
      await downloadRoco({ ...options, pmcUrl: server.url, textUrl: `${server.url}/text`, retries: 1 }, out, await folder());
      expect((await readPairs(out)).map(pair => [pair.id, pair.image, pair.licence, pair.licenceInRoco])).toEqual([
        ['ROCO_00001', 'images/ROCO_00001.jpg', 'CC BY', 'CC BY-NC'],
        ['ROCO_00009', 'images/ROCO_00009.jpg', 'unknown', undefined],
      ]);
      expect(await readdir(out)).toEqual(['images', 'pairs.jsonl', 'report.json']);
      const report = await readPairsReport(out);
      expect(Object.fromEntries(report.leftOut.map(row => [row.id, `${row.kind}: ${row.reason}`]))).toEqual({
        ROCO_00002: expect.stringMatching(/^failed: .*expected an image, got a web page or XML: "<!DOCTYPE html>.*; 2 attempts/),
        ROCO_00003: 'absent: PMC3 is listed with version 1, but its metadata are not there (HTTP 404)',
        ROCO_00004: expect.stringMatching(/^failed: .*expected a listing \(ListBucketResult XML\), got "<html>/),
        ROCO_00005: 'retracted: PMC5 is retracted',
        ROCO_00006: expect.stringMatching(/^failed: .*the metadata are of "PMC7", not of PMC6/),
        ROCO_00007: 'absent: f.jpg is not among the 1 media files of PMC7.1',
        ROCO_00008: expect.stringMatching(/^failed: .*the md5 is \w+, the archive says 0{32}/),
        ROCO_00099: 'absent: test: the caption is not at hand',
      });
    } finally {
      server.stop();
    }
  });

  it('fails with an example when too many figures are lost to errors, and keeps what it got', async () => {
    const server = await host(path => {
      const text = /^\/text\/data\/test\/radiology\/(.+)$/.exec(path)?.[1];
      if (text !== undefined) return texts[text] === undefined ? undefined : { body: texts[text] };
      if (path.startsWith('/PMC9')) return { status: 500, body: '' };
      return answers[path] === undefined ? undefined : { body: answers[path] };
    });
    try {
      const store = await folder();
      const task = { ...options, pmcUrl: server.url, textUrl: `${server.url}/text`, retries: 0 };
      await expect(downloadRoco(task, await folder(), store)).rejects.toThrow(/1 of 9 figures could not be fetched, for example ROCO_00009: .*HTTP 500; 1 attempt\. What was fetched is kept/);
      expect((await downloadRoco({ ...task, failuresAllowed: 0.2 }, await folder(), store)).reused).toBe(1);
    } finally {
      server.stop();
    }
  });

  it('names the host and what was tried when it is down', async () => {
    const server = await host(() => undefined);
    server.stop();
    const store = await folder();
    await mkdir(store, { recursive: true });
    await expect(downloadRoco({ ...options, pmcUrl: server.url, textUrl: server.url, retries: 1 }, await folder(), store))
      .rejects.toThrow(`${server.url}/data/test/radiology/captions.txt: connection refused (ECONNREFUSED); 2 attempts`);
  });
});
