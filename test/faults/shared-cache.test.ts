/** A shared cache that cannot be believed, or does not do its part: every run ends right, in bounded time, and says why once. */
import { readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startHttpCache } from '../rig/http-cache-server.ts';
import type { Fault, HttpCacheServer } from '../rig/http-cache-server.ts';
import { Sharing } from '../rig/sharing.ts';

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

describe('trust', () => {
  test('only records of trusted keys are taken; a new one is trusted by one command', async () => {
    await pushed();
    const own = (await sharing.call(sharing.project(settings()), ['cache', 'keys', 'list', '--json'])).stdout;
    const { own: key } = JSON.parse(own) as { own: string };
    const other = sharing.otherHome();
    const second = sharing.project(settings());
    const untrusted = await sharing.run(second, [], other);
    expect(untrusted).toMatchObject({ ran: 2 });
    expect(untrusted.warnings).toEqual([expect.stringContaining('no key is trusted')]);
    const third = sharing.project(settings());
    await sharing.key(third, other);
    const unknown = await sharing.run(third, [], other);
    expect(unknown).toMatchObject({ ran: 2, exitCode: 0 });
    expect(unknown.warnings.filter(text => text.includes('whom nobody here trusts')).length).toBeGreaterThan(0);
    expect(readdirSync(third.path('cache/quarantine')).length).toBeGreaterThan(0);
    // Said once: the next run meets the same entries.
    expect((await sharing.run(third, ['--set', 'tag=one'], other)).warnings).toEqual([]);

    const fourth = sharing.project(settings());
    expect((await sharing.call(fourth, ['cache', 'keys', 'trust', 'ci', key], other)).code).toBe(0);
    expect(fourth.read('pipe.cache.yaml')).toContain(`url: ${server.url}`);
    expect(await sharing.run(fourth, [], other)).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
  });

  const poisons: Readonly<Record<string, (entry: { record: string; signer: string; signature: string }, others: readonly Buffer[]) => string | Buffer>> = {
    'without a signature': ({ record }) => JSON.stringify({ record }),
    'with another output': entry => JSON.stringify({ ...entry, record: entry.record.replace(/"digest":"[0-9a-f]/, '"digest":"x') }),
    'with a signature of something else': entry => JSON.stringify({ ...entry, signature: Buffer.alloc(64).toString('base64') }),
    'cut off': entry => JSON.stringify(entry).slice(0, 500),
    'that is no JSON': () => Buffer.from([0, 1, 2, 3]),
    'of another key': (_entry, others) => others[0]!,
  };
  test.each(Object.keys(poisons))('a record %s is a miss, put aside, said once, and replaced by who may write', async name => {
    await pushed();
    const entries = names('ac').map(ac => [ac, server.stored.get(ac)!] as const);
    for (const [ac, bytes] of entries) {
      const others = entries.map(([, other]) => other).filter(other => !other.equals(bytes));
      server.stored.set(ac, Buffer.from(poisons[name]!(JSON.parse(bytes.toString()) as never, others)));
    }
    const second = sharing.project(settings('write: true\n'));
    const run = await sharing.run(second);
    expect(run).toMatchObject({ ran: 2, exitCode: 0 });
    expect(run.warnings.length).toBeGreaterThan(0);
    expect(run.warnings.every(text => text.includes('is not used'))).toBe(true);
    expect(readdirSync(second.path('cache/quarantine')).some(file => file.endsWith('.why'))).toBe(true);
    expect(await sharing.run(sharing.project(settings()))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
  });
});

describe('faults', () => {
  /** A run over a server that misbehaves, and how long it took at most. */
  const reading: readonly Fault[] = ['status-500', 'hang', 'cut', 'corrupt', 'truncate', 'denied'];
  test.each(reading)('%s while records are looked up: the run goes on without them, says so, and takes no longer than its time', async fault => {
    await pushed();
    const second = sharing.project(settings());
    server.fault = method => (method === 'GET' ? fault : null);
    const before = performance.now();
    const run = await sharing.run(second);
    expect(run).toMatchObject({ failures: [], ran: 2, exitCode: 0 });
    expect(run.warnings.length).toBeGreaterThan(0);
    if (fault !== 'corrupt' && fault !== 'truncate') expect(run.warnings).toHaveLength(1);
    expect(performance.now() - before).toBeLessThan(15_000);
  });

  test.each(['corrupt', 'truncate', 'cut', 'status-500', 'hang'] as const)('%s while an output is fetched: it is made again, and never taken', async fault => {
    await pushed();
    const second = sharing.project(settings(), text => text.replace('extra: 0', 'extra: 1'));
    expect((await sharing.call(second, ['status', '--json'])).stdout).toContain('"remote":true');
    server.fault = (method, name) => (method === 'GET' && name.startsWith('cas/') ? fault : null);
    const run = await sharing.run(second);
    expect(run).toMatchObject({ failures: [], ran: 2, exitCode: 0 });
    expect(run.warnings.join('\n')).toContain('made again');
    expect((await sharing.call(second, ['cache', 'verify'])).code).toBe(0);
    expect(readdirSync(second.path('cache/artefacts')).filter(name => name.startsWith('.incoming'))).toEqual([]);
  });

  test.each(['status-500', 'hang', 'cut', 'denied'] as const)('%s while results are pushed: they stand, and no record is without its blobs', async fault => {
    const first = sharing.project(settings('write: true\n'));
    await sharing.key(first);
    let puts = 0;
    server.fault = method => (method === 'PUT' && ++puts > 2 ? fault : null);
    const run = await sharing.run(first);
    expect(run).toMatchObject({ ran: 2, exitCode: 0 });
    expect(run.warnings).toHaveLength(1);
    expect(names('ac')).toEqual([]);
    server.fault = () => null;
    expect((await sharing.call(first, ['cache', 'push'])).stdout).toContain('pushed 2 results');
    expect(await sharing.run(sharing.project(settings()))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
  });

  test('nobody there: said once, and the run goes on', async () => {
    const dead = sharing.project('url: http://127.0.0.1:9\nwrite: true\n');
    await sharing.key(dead);
    const run = await sharing.run(dead);
    expect(run).toMatchObject({ ran: 2, exitCode: 0 });
    expect(run.warnings.filter(text => text.includes('nobody listens there')).length).toBeLessThanOrEqual(2);
    expect(run.warnings.length).toBeGreaterThan(0);
  });

  test('two that push the same at once leave one whole set of records', async () => {
    const first = sharing.project(settings('write: true\n'), text => text.replace('/dev/urandom', '/dev/zero'));
    const second = sharing.project(settings('write: true\n'), text => text.replace('/dev/urandom', '/dev/zero'));
    await sharing.key(first);
    const runs = await Promise.all([sharing.run(first), sharing.run(second)]);
    for (const run of runs) expect(run).toMatchObject({ failures: [], exitCode: 0, warnings: [] });
    expect(JSON.parse((await sharing.call(first, ['cache', 'verify', '--remote', '--json'])).stdout)).toMatchObject({ records: 4, bad: [] });
  });
});
