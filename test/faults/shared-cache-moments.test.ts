/** A shared cache that begins to fail at any moment of a run that reads and pushes: the run ends right, whatever it was doing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startHttpCache } from '../rig/http-cache-server.ts';
import type { Fault, HttpCacheServer } from '../rig/http-cache-server.ts';
import type { TestProject } from '../rig/pipe.ts';
import { clockOff, Sharing } from '../rig/sharing.ts';
import { tellOf } from './rig/tally.ts';

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

const settings = (): string => `url: ${server.url}\nwrite: true\ntimeout: 1s\n`;
/** Requests of the run below are some twenty-five. */
const moments = [1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 24];

const faults: Readonly<Record<string, Fault>> = {
  'returns 500': 'status-500', 'hangs': 'hang', 'cuts the connection, in uploads, too': 'cut', 'gives wrong bytes': 'corrupt', 'gives half of the bytes': 'truncate', 'refuses (403)': 'denied',
};

test.each(Object.keys(faults))('%s', async name => {
  const first = sharing.project(settings());
  await sharing.key(first);
  await sharing.run(first);
  const before = new Map(server.stored);
  for (const moment of moments) {
    await tellOf(`shared cache: ${name}, from some request of a run on`, 'the run ended right, and said so', async () => {
      let requests = 0;
      server.fault = () => (++requests >= moment ? faults[name]! : null);
      // Reads an output, makes another, and pushes that.
      const project = sharing.project(settings(), text => text.replace('extra: 0', `extra: ${moment}`));
      const run = await sharing.run(project);
      expect(run).toMatchObject({ failures: [], exitCode: 0 });
      expect(run.ran + run.fresh).toBe(2);
      isRight(project, moment);
      for (const text of run.warnings) expect(text).toMatch(/shared cache/);
      expect(run.warnings.length).toBeLessThanOrEqual(6);
      // What the server does later tells nothing of what it has: all of that is whole.
      server.fault = () => null;
      expect(JSON.parse((await sharing.call(project, ['cache', 'verify', '--remote', '--json'])).stdout)).toMatchObject({ bad: [] });
      server.stored.clear();
      for (const [path, bytes] of before) server.stored.set(path, bytes);
    });
  }
});

test('a run whose clock is an hour off, before or after', async () => {
  for (const hours of [-1, 1]) {
    await tellOf('shared cache: a clock that is an hour off', 'results are pushed and taken', async () => {
      server.stored.clear();
      const env = clockOff(hours);
      const first = sharing.project(settings());
      await sharing.key(first);
      expect(await sharing.run(first, [], env)).toMatchObject({ ran: 2, warnings: [] });
      expect(await sharing.run(sharing.project(settings()))).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
      expect(await sharing.run(sharing.project(settings()), [], env)).toMatchObject({ ran: 0, fresh: 2, warnings: [] });
    });
  }
});

function isRight(project: TestProject, extra: number): void {
  expect(project.read('cache/out/p/count/lines')).toBe(`${extra}\none 1\none 2\none 3\none 1\n`);
  expect(readdirSync(project.path('cache/artefacts')).filter(name => name.startsWith('.'))).toEqual([]);
  const texts = project.path('cache/out/p/words/texts/1.txt');
  if (existsSync(texts)) expect(readFileSync(texts, 'utf8')).toBe('one 1\n');
}
