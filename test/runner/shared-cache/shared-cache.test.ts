/** Two projects that share results over a loopback HTTP server, as whole programs. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startHttpCache } from '../../rig/http-cache-server.ts';
import type { HttpCacheServer } from '../../rig/http-cache-server.ts';
import { makeProject } from '../../rig/pipe.ts';
import type { Finished, TestProject } from '../../rig/pipe.ts';

const pipeline = `pipeline: p
stages:
  words:
    run: |
      echo ran >> "$COUNT"
      mkdir -p "\${out.texts}/deep/er" "\${out.texts}/empty"
      for i in 1 2 3; do echo "text $i" > "\${out.texts}/$i.txt"; done
      printf '#!/bin/sh\\n' > "\${out.texts}/deep/er/run.sh"
      chmod +x "\${out.texts}/deep/er/run.sh"
      ln -s ../1.txt "\${out.texts}/deep/one"
      : > "\${out.texts}/nothing"
      head -c 3000000 /dev/zero > "\${out.texts}/zeros"
      head -c 700000 "$RANDOM_FILE" > "\${out.texts}/random"
    env: { set: { RANDOM_FILE: /dev/urandom, COUNT: COUNT_FILE } }
    out: { texts: texts/ }
  count:
    in: { texts: words.texts }
    run: |
      echo ran >> "$COUNT"
      cat "\${in.texts}"/*.txt | wc -l > "\${out.lines}"
      echo '{"metric":"lines","value":3}' > "\${out.metrics}"
    env: { set: { COUNT: COUNT_FILE } }
    out: { lines: lines.txt, metrics: { path: metrics.jsonl, kind: metrics } }
`;

let server: HttpCacheServer;
let home: string;
let left: (() => void)[] = [];

beforeEach(async () => {
  server = await startHttpCache();
  home = mkdtempSync(join(tmpdir(), 'pipe-home-'));
});

afterEach(async () => {
  await server.close();
  rmSync(home, { recursive: true, force: true });
  for (const remove of left.splice(0)) remove();
});

function project(settings: string, text = pipeline): TestProject {
  const made = makeProject({ 'pipe.yaml': text.replaceAll('COUNT_FILE', join(home, 'count')), 'package.json': '{}', 'pipe.cache.yaml': `url: ${server.url}\n${settings}` });
  left.push(() => made.remove());
  return made;
}

const env = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({ HOME: home, ...more });
const end = (finished: Finished): Record<string, unknown> => JSON.parse(finished.stdout.trim().split('\n').at(-1) ?? '{}') as Record<string, unknown>;

test('what one has pushed another does not run', async () => {
  const first = project('write: true\n');
  expect((await first.start(['cache', 'keys', 'generate'], env()).finished).code).toBe(0);
  const made = await first.start(['run', '--json'], env()).finished;
  expect(end(made)).toMatchObject({ ran: 2, fresh: 0, exitCode: 0 });
  expect([...server.stored.keys()].filter(name => name.startsWith('ac/'))).toHaveLength(4);

  const second = project('');
  expect(end(await second.start(['run', '--json'], env()).finished)).toMatchObject({ ran: 0, fresh: 2, exitCode: 0 });
});
