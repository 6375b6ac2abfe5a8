/** Projects that share results over a loopback HTTP server, as whole programs. */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
  const first = sharing.project(settings('write: true\n'), text => `${text}    # a typed stage would see PIPE_ variables\n`);
  await sharing.key(first);
  const pem = readFileSync(join(sharing.home, '.config/pipe/cache-key.pem'), 'utf8');
  const secret = pem.split('\n')[1]!;
  const env = { PIPE_REMOTE_CACHE_USER: 'ci', PIPE_REMOTE_CACHE_PASSWORD: password, PIPE_REMOTE_CACHE_KEY: pem };
  expect(await sharing.run(first, [], env)).toMatchObject({ ran: 2, warnings: [] });
  const wrong = await sharing.run(sharing.project(settings('write: true\n')), ['--set', 'tag=two'], { ...env, PIPE_REMOTE_CACHE_PASSWORD: `${password}-wrong` });
  expect(wrong.warnings).toEqual([expect.stringContaining('401')]);
  const inUrl = await sharing.call(first, ['run', '--plain', '--force'], { PIPE_REMOTE_CACHE: server.url.replace('//', `//ci:${password}@`), PIPE_REMOTE_CACHE_WRITE: '1' });
  for (const text of [password, secret]) {
    expect(holdsText(first.folder, text)).toBe(false);
    expect([...server.stored.values()].some(bytes => bytes.includes(text))).toBe(false);
    expect(`${wrong.warnings.join()}${inUrl.stdout}${inUrl.stderr}`).not.toContain(text);
  }
  expect(lstatSync(join(sharing.home, '.config/pipe/cache-key.pem')).mode & 0o777).toBe(0o600);
});

test.each([
  ['url: https://u:p4ssword@host/x\n', 'a password does not belong in a file'],
  ['url: ftp://host/x\n', 'no address of a shared cache'],
  ['uri: https://host\n', 'there is no setting uri'],
  ['url: https://host\ntrusted: { ci: abc }\n', 'no public key'],
  ['url: https://host\ntimeout: soon\n', 'timeout has to be'],
  ['url: [\n', 'pipe.cache.yaml:'],
])('a mistake in pipe.cache.yaml names its place: %j', async (text, says) => {
  const { code, stderr } = await sharing.call(sharing.project(text), ['run', '--plain']);
  expect(code).toBe(2);
  expect(stderr).toContain(says);
  expect(stderr).toContain('pipe.cache.yaml:');
  expect(stderr).not.toContain('p4ssword');
  expect(sharing.runs).toBe(0);
});
