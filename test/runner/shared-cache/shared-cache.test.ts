/** Projects that share results over a loopback HTTP server, as whole programs. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadSharedCacheConfig } from '../../../src/runner/shared-cache/config.ts';
import { startHttpCache } from '../../rig/http-cache-server.ts';
import type { HttpCacheServer } from '../../rig/http-cache-server.ts';
import { holdsText, Sharing } from '../../rig/sharing.ts';

let server: HttpCacheServer;
let sharing: Sharing;

beforeEach(async () => {
  server = await startHttpCache();
  sharing = new Sharing();
});
afterEach(async () => {
  await server.close();
  sharing.close();
});

const settings = (more = ''): string => `url: ${server.url}\ntimeout: 1s\n${more}`;
const names = (kind: 'ac' | 'cas'): string[] => [...server.stored.keys()].filter(name => name.startsWith(`${kind}/`));

/** A project that has pushed both of its cells. */
async function pushed(more = ''): Promise<ReturnType<Sharing['project']>> {
  const first = sharing.project(settings(`write: true\n${more}`));
  await sharing.key(first);
  expect(await sharing.run(first)).toMatchObject({ ran: 2, warnings: [] });
  expect(names('ac')).toHaveLength(4);
  return first;
}

describe('sharing', () => {
  test('what one has pushed another neither runs nor fetches, until somebody reads it', async () => {
    const first = await pushed();
    const second = sharing.project(settings());
    server.requests.length = 0;
    expect(await sharing.run(second)).toMatchObject({ ran: 0, fresh: 2, exitCode: 0, warnings: [] });
    expect(sharing.runs).toBe(2);
    // One record and its details each, and no output.
    expect(server.requests.map(request => request.slice(0, 7))).toEqual(expect.arrayContaining(['GET ac/', 'GET cas']));
    expect(server.requests.filter(request => request.startsWith('GET cas/'))).toHaveLength(2);
    expect(readdirSync(second.path('cache/artefacts'))).toEqual([]);
    expect((await sharing.call(second, ['status'])).stdout).toContain('in the shared cache');
    expect((await sharing.call(second, ['table', '--format', 'csv'])).stdout).toContain('lines');
    expect((await sharing.call(second, ['sql', '--json', 'SELECT name, value, step FROM metric'])).stdout).toMatch(/"step": ?1/);
    expect(JSON.parse((await sharing.call(second, ['history', '--json'])).stdout)).toHaveLength(1);

    expect((await sharing.call(second, ['get', 'words.texts', 'got'])).code).toBe(0);
    for (const file of ['1.txt', 'nothing', 'zeros', 'random', 'deep/er/run.sh']) {
      expect(readFileSync(second.path('got', file)).equals(readFileSync(first.path('cache/out/p/words/texts', file)))).toBe(true);
    }
    expect(readlinkSync(second.path('got/deep/one'))).toBe('../1.txt');
    expect(lstatSync(second.path('got/deep/er/run.sh')).mode & 0o100).toBe(0o100);
    expect(readdirSync(second.path('got/empty'))).toEqual([]);

    expect((await sharing.call(second, ['logs', 'words'])).stdout).toBe('said by words\n');

    // Only what changed runs; what it reads comes by itself.
    const third = sharing.project(settings(), text => text.replace('extra: 0', 'extra: 1'));
    expect(await sharing.run(third)).toMatchObject({ ran: 1, fresh: 1, warnings: [] });
    expect(sharing.runs).toBe(3);
    expect(third.read('cache/out/p/count/lines').split('\n').slice(0, 2)).toEqual(['1', 'one 1']);
  });

  test('nothing is written unless that was asked for; --push, push and pull do it by hand', async () => {
    const first = sharing.project(settings());
    await sharing.key(first);
    await sharing.run(first);
    expect(server.stored.size).toBe(0);
    expect((await sharing.call(first, ['cache', 'push'])).stdout).toContain('pushed 2 results');
    expect((await sharing.call(first, ['cache', 'push'])).stdout).toContain('pushed 0 results, 2 were there');
    const verified = await sharing.call(first, ['cache', 'verify', '--remote', '--json']);
    expect(JSON.parse(verified.stdout)).toMatchObject({ records: 4, bad: [] });

    const second = sharing.project(settings());
    expect(JSON.parse((await sharing.call(second, ['cache', 'pull', '--json'])).stdout)).toMatchObject({ outputs: 3, missing: 0, failed: [] });
    expect(second.read('cache/out/p/count/lines')).toBe(first.read('cache/out/p/count/lines'));
    expect(await sharing.run(second, ['--set', 'tag=two', '--push'])).toMatchObject({ ran: 2, warnings: [] });
    expect(names('ac')).toHaveLength(8);
  });

  test('a record whose blobs the server has dropped, or has damaged, is replaced by who makes the result again', async () => {
    for (const spoil of [(name: string) => void server.stored.delete(name), (name: string) => void server.stored.get(name)!.fill(7)]) {
      server.stored.clear();
      await pushed();
      const reader = sharing.project(settings('write: true\n'), text => text.replace('extra: 0', 'extra: 1'));
      expect((await sharing.call(reader, ['status', '--json'])).stdout).toContain('"remote":true');
      // The largest is a file of its own, and part of the output that the other stage reads.
      const [largest] = names('cas').toSorted((a, b) => server.stored.get(b)!.length - server.stored.get(a)!.length);
      spoil(largest!);
      expect(await sharing.run(reader)).toMatchObject({ ran: 2, exitCode: 0 });
      const other = sharing.project(settings(), text => text.replace('extra: 0', 'extra: 2'));
      expect(await sharing.run(other)).toMatchObject({ ran: 1, fresh: 1, warnings: [] });
    }
  });

  test('cells with `cache: false` or `always` stay out of it, in both directions', async () => {
    const out = (text: string): string => text.replace('  words:', '  words:\n    cache: false').replace('  count:', '  count:\n    always: true');
    const first = sharing.project(settings('write: true\n'), out);
    await sharing.key(first);
    await sharing.run(first);
    expect(server.stored.size).toBe(0);
    await pushed();
    server.requests.length = 0;
    expect(await sharing.run(sharing.project(settings(), out))).toMatchObject({ ran: 2 });
    expect(server.requests).toEqual([]);
  });

  test('a salt changes the names of records and no key', async () => {
    await pushed('salt: ours\n');
    expect(await sharing.run(sharing.project(settings('salt: theirs\n')))).toMatchObject({ ran: 2 });
    expect(await sharing.run(sharing.project(settings()))).toMatchObject({ ran: 2 });
    expect(await sharing.run(sharing.project(settings('salt: ours\n')))).toMatchObject({ ran: 0, fresh: 2 });
  });

  test('early cut-off: an action key that is known only while running is looked up then', async () => {
    await pushed();
    // Another command that makes the same: its key is new, the key of what reads it is not.
    const second = sharing.project(settings(), text => text.replace('echo "said by words"', 'echo "said otherwise"').replace('head -c 1700000 /dev/urandom', 'head -c 1700000 /dev/zero'));
    const third = sharing.project(settings('write: true\n'), text => text.replace('head -c 1700000 /dev/urandom', 'head -c 1700000 /dev/zero'));
    expect(await sharing.run(third)).toMatchObject({ ran: 2 });
    expect(await sharing.run(second)).toMatchObject({ ran: 1, fresh: 1 });
  });
});

test('secrets stay in the environment', async () => {
  await server.close();
  const password = 'swordfish-4711';
  server = await startHttpCache({ authorization: `Basic ${Buffer.from(`ci:${password}`).toString('base64')}` });
  const token = 'stage-token-0815';
  // A stage says all that it knows.
  const telling = (text: string): string => text.replace('env: {', 'env: { secret: [API_TOKEN],').replace('echo "said by words"', 'echo "said by words: $API_TOKEN"; env');
  const first = sharing.project(settings('write: true\n'), telling);
  await sharing.key(first);
  const pem = readFileSync(join(sharing.home, '.config/pipe/cache-key.pem'), 'utf8');
  const secret = pem.split('\n')[1]!;
  const env = { PIPE_REMOTE_CACHE_USER: 'ci', PIPE_REMOTE_CACHE_PASSWORD: password, PIPE_REMOTE_CACHE_KEY: pem, API_TOKEN: token };
  expect(await sharing.run(first, [], env)).toMatchObject({ ran: 2, warnings: [] });
  const wrong = await sharing.run(sharing.project(settings('write: true\n')), ['--set', 'tag=two'], { ...env, PIPE_REMOTE_CACHE_PASSWORD: `${password}-wrong` });
  expect(wrong.warnings).toEqual([expect.stringContaining('401')]);
  const inUrl = await sharing.call(first, ['run', '--plain', '--force'], { PIPE_REMOTE_CACHE: server.url.replace('//', `//ci:${password}@`), PIPE_REMOTE_CACHE_WRITE: '1' });
  expect(inUrl.code).toBe(0);
  const withUrl = { PIPE_REMOTE_CACHE: server.url.replace('//', `//ci:${password}-wrong@`), API_TOKEN: token };
  const said = [inUrl];
  for (const args of [['cache', 'push', '--json'], ['cache', 'keys', 'list', '--json'], ['status', '--json'], ['logs', 'words'], ['why', 'words', '--json'], ['history', '--json']]) said.push(await sharing.call(first, args, withUrl));
  const dead = { ...withUrl, PIPE_REMOTE_CACHE: `http://ci:${password}@127.0.0.1:9/` };
  said.push(await sharing.call(sharing.project(settings()), ['cache', 'pull', '--json'], dead));
  said.push(await sharing.call(sharing.project(settings()), ['run', '--json', '--push'], dead));
  const s3 = { PIPE_REMOTE_CACHE: 's3://bucket/x', AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:9', AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: password, AWS_SESSION_TOKEN: token };
  said.push(await sharing.call(sharing.project(settings()), ['run', '--json', '--push'], s3), await sharing.call(first, ['cache', 'push', '--json'], s3));
  expect(said.at(-1)).toMatchObject({ code: 1 });
  // What was shared, unpacked.
  const second = sharing.project(settings(), telling);
  expect(JSON.parse((await sharing.call(second, ['cache', 'pull', '--json'], env)).stdout)).toMatchObject({ outputs: 3, missing: 0 });
  said.push(await sharing.call(second, ['logs', 'words'], env));
  expect(said.at(-1)!.stdout).toContain('said by words: [secret]');
  for (const text of [password, secret, token, Buffer.from(`ci:${password}`).toString('base64')]) {
    for (const { folder } of [first, second]) expect(holdsText(folder, text)).toBe(false);
    expect([...server.stored.values()].some(bytes => bytes.includes(text))).toBe(false);
    expect(wrong.warnings.join()).not.toContain(text);
    for (const { stdout, stderr } of said) expect(stdout + stderr).not.toContain(text);
  }
  expect(lstatSync(join(sharing.home, '.config/pipe/cache-key.pem')).mode & 0o777).toBe(0o600);
});

test.each([
  ['url: https://u:p4ssword@host/x\n', 'a password does not belong in a file'],
  ['url: ftp://host/x\n', 'no address of a shared cache'],
  ['uri: https://host\n', 'there is no setting uri'],
  ['url: https://host\ntrusted: { ci: abc }\n', 'no public key'],
  ['url: https://host\ntimeout: soon\n', 'timeout has to be'],
  ['url: s3://bucket\nendpoint: https://u:p4ssword@host\n', 'a password does not belong'],
  ['url: [\n', 'pipe.cache.yaml:'],
])('a mistake in pipe.cache.yaml names its place: %j', (text, says) => {
  const { folder } = sharing.project(text);
  expect(() => loadSharedCacheConfig(folder, { HOME: sharing.home })).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringMatching(/pipe\.cache\.yaml:/) as string }));
  expect(() => loadSharedCacheConfig(folder, { HOME: sharing.home })).toThrow(says);
  expect(() => loadSharedCacheConfig(folder, { HOME: sharing.home })).not.toThrow('p4ssword');
});

test('a mistake in pipe.cache.yaml ends a run before it begins', async () => {
  const { code, stderr } = await sharing.call(sharing.project('uri: https://host\n'), ['run', '--plain']);
  expect(code).toBe(2);
  expect(stderr).toContain('there is no setting uri');
  expect(sharing.runs).toBe(0);
});
