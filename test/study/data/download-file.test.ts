import { createHash } from 'node:crypto';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { downloadFile, parseChecksum } from '../../../src/study/data/download-file.ts';
import { readPairs } from '../../../src/study/data/pairs.ts';
import { stage as folderStage } from '../../../stages/load-folder.ts';
import { stage as medmnistStage } from '../../../stages/load-medmnist.ts';
import { npy, writeZip } from '../../rig/zip.ts';
import { runStage, temporaryFolder } from '../../stages/data-stage.ts';

const body = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * 7919) >> 4));
const md5 = createHash('md5').update(body).digest('hex');
const sha256 = createHash('sha256').update(body).digest('hex');

/** A server whose requests are answered one after the other by the list, the last one for all others. */
async function host(...answers: readonly ((request: IncomingMessage, response: ServerResponse) => void)[]): Promise<{ url: string; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    if (request.method === 'HEAD') return void response.end();
    requests.push(request);
    (answers[requests.length - 1] ?? answers.at(-1))?.(request, response);
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void (server.close(), server.closeAllConnections()));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/set.bin`, requests };
}

const whole = (_: IncomingMessage, response: ServerResponse): void => void response.writeHead(200, { 'content-length': body.length, etag: '"v1"' }).end(body);
const cut = (_: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(200, { 'content-length': body.length, etag: '"v1"' });
  response.write(body.subarray(0, 120_000), () => setImmediate(() => response.destroy()));
};
const rest = (request: IncomingMessage, response: ServerResponse): void => {
  const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  response.writeHead(206, { 'content-range': `bytes ${from}-${body.length - 1}/${body.length}`, 'content-length': body.length - from, etag: '"v1"' }).end(body.subarray(from));
};
const options = { retries: 2, timeoutSeconds: 5 };

describe('a large file', () => {
  it('goes on where it was cut, is checked, and is not fetched again', async () => {
    const folder = await temporaryFolder();
    const { url, requests } = await host(cut, rest);
    const checksum = parseChecksum(`md5:${md5}`);
    const got = await downloadFile(url, folder, 'set.bin', checksum, options);
    expect(got).toMatchObject({ bytes: body.length, sha256, reused: false });
    expect((await readFile(got.path)).equals(body)).toBe(true);
    expect(Number(/\d+/.exec(requests[1]?.headers.range ?? '')?.[0])).toBeGreaterThan(0);
    expect(requests[1]?.headers['if-range']).toBe('"v1"');
    expect(await downloadFile(url, folder, 'set.bin', checksum, options)).toMatchObject({ reused: true });
    expect(requests).toHaveLength(2);
    expect(await readdir(folder)).toEqual(['set.bin']);
    await writeFile(got.path, body.subarray(1)); // damaged on the disk: fetched anew
    expect(await downloadFile(url, folder, 'set.bin', checksum, options)).toMatchObject({ reused: false, sha256 });
  });
  it('goes on in another process too, and begins anew when the file has changed meanwhile', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'set.bin.part'), body.subarray(0, 50_000));
    await writeFile(join(folder, 'set.bin.part.version'), '"v1"');
    const first = await host(rest);
    expect(await downloadFile(first.url, folder, 'set.bin', undefined, options)).toMatchObject({ sha256 });
    expect(first.requests[0]?.headers.range).toBe('bytes=50000-');
    await writeFile(join(folder, 'other.bin.part'), Buffer.alloc(70_000, 9));
    await writeFile(join(folder, 'other.bin.part.version'), '"v0"');
    const second = await host(whole); // If-Range differs: the whole
    expect(await downloadFile(second.url, folder, 'other.bin', undefined, options)).toMatchObject({ sha256 });
  });
  it('is given up when its checksum is wrong twice, the answer is final, or nothing comes', async () => {
    const folder = await temporaryFolder();
    const wrong = await host(whole);
    await expect(downloadFile(wrong.url, folder, 'a', { algorithm: 'sha256', hex: '0'.repeat(64) }, options)).rejects.toThrow(new RegExp(`its sha256 is ${sha256}, not 0{64}, twice`));
    expect(await readdir(folder)).toEqual([]);
    const gone = await host((_, response) => void response.writeHead(404).end('<html>'));
    await expect(downloadFile(gone.url, folder, 'a', undefined, options)).rejects.toThrow(/HTTP 404/);
    expect(gone.requests).toHaveLength(1);
    const silent = await host((_, response) => void response.writeHead(200, { 'content-length': 10 }).flushHeaders());
    await expect(downloadFile(silent.url, folder, 'a', undefined, { retries: 1, timeoutSeconds: 0.2 })).rejects.toThrow(/nothing arrived for 0\.2 s; 2 attempts/);
    const busy = await host((_, response) => void response.writeHead(503, { 'retry-after': '0' }).end(), whole);
    expect(await downloadFile(busy.url, folder, 'b', undefined, options)).toMatchObject({ sha256 });
  });
  it('is checked against what the host publishes of it, where it does', async () => {
    const server = createServer((request, response) => {
      if (request.method === 'HEAD') response.writeHead(302, { location: '/elsewhere', 'x-linked-etag': `"${sha256}"` }).end();
      else if (request.url === '/elsewhere') response.end(body.subarray(1));
      else response.writeHead(302, { location: '/elsewhere' }).end();
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void (server.close(), server.closeAllConnections()));
    await expect(downloadFile(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`, await temporaryFolder(), 'a', undefined, options)).rejects.toThrow(new RegExp(`not ${sha256}, twice`));
  });
  it('has its checksum read from text', () => {
    expect(parseChecksum(md5)).toEqual({ algorithm: 'md5', hex: md5 });
    expect(parseChecksum(`SHA256:${sha256.toUpperCase()}`)).toEqual({ algorithm: 'sha256', hex: sha256 });
    expect([parseChecksum('md5:12'), parseChecksum(`md5:${sha256}`), parseChecksum('zz')]).toEqual([undefined, undefined, undefined]);
  });
});

describe('published sets', () => {
  it('are read from a Zenodo record, checked by its md5 sums, kept in the store', async () => {
    const root = await temporaryFolder();
    await writeZip(join(root, 'p.npz'), { 'test_images.npy': npy([1, 28, 28], Buffer.alloc(784, 5)), 'test_labels.npy': npy([1, 1], Buffer.from([1])) });
    const npz = await readFile(join(root, 'p.npz'));
    let sum = createHash('md5').update(npz).digest('hex');
    const server = createServer((request, response) => {
      if (request.url !== '/record') return void response.writeHead(200, { 'content-length': npz.length }).end(request.method === 'HEAD' ? '' : npz);
      response.end(JSON.stringify({ files: [{ key: 'other.npz' }, { key: 'pneumoniamnist.npz', checksum: `md5:${sum}`, links: { self: `http://${request.headers.host}/files/pneumoniamnist.npz/content` } }] }));
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void (server.close(), server.closeAllConnections()));
    const recordUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/record`;
    const { outputs } = await runStage(medmnistStage, { params: { recordUrl, store: 'kept' }, inputs: { folder: undefined }, projectRoot: root });
    expect(await readPairs(outputs.pairs)).toHaveLength(1);
    expect(JSON.parse(await readFile(join(outputs.pairs, 'report.json'), 'utf8'))).toMatchObject({ downloaded: [{ bytes: npz.length, checked: 'md5' }] });
    expect(await readdir(join(root, 'kept'))).toEqual(['pneumoniamnist.npz']);
    sum = '0'.repeat(32);
    await expect(runStage(medmnistStage, { params: { recordUrl }, inputs: { folder: undefined } })).rejects.toThrow(/its md5 is [0-9a-f]+, not 0{32}, twice/);
    await expect(runStage(medmnistStage, { params: { recordUrl, size: 64 }, inputs: { folder: undefined } })).rejects.toThrow(/lists none of the files wanted; it has other\.npz, pneumoniamnist\.npz/);
  });
  it('are read from addresses with checksums, and a web page is none', async () => {
    const root = await temporaryFolder();
    await writeZip(join(root, 'a.zip'), { 'captions.csv': 'image,caption\na.png,One\n', 'a.png': Buffer.from([0x89, 0x50, 0x4e, 0x47]) });
    const zip = await readFile(join(root, 'a.zip'));
    const { url } = await host((_, response) => void response.end(zip));
    const address = url.replace('set.bin', 'a.zip');
    const { outputs } = await runStage(folderStage, { params: { urls: [`${address}#sha256:${createHash('sha256').update(zip).digest('hex')}`] }, inputs: { folder: undefined, archive: undefined } });
    expect((await readPairs(outputs.pairs)).map(pair => pair.caption)).toEqual(['One']);
    const page = await host((_, response) => void response.end('<html>'));
    await expect(runStage(folderStage, { params: { urls: [page.url.replace('set.bin', 'a.zip')] }, inputs: { folder: undefined, archive: undefined } })).rejects.toThrow(/a\.zip is no whole zip archive/);
    await expect(runStage(folderStage, { params: {}, inputs: { folder: undefined, archive: undefined } })).rejects.toThrow(/nothing to read: name a folder or an archive/);
  });
});
