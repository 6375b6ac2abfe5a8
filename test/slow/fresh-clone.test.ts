/** README's first command as a stranger types it: a fresh clone, one line, and what the main job promises. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startRocoMirror } from '../rig/roco-mirror.ts';
import { hasShared } from '../rig/shared.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(join(repository, 'README.md'), 'utf8');
const firstCommand = /```sh\n(npm ci && npx pipe run .*)\n```/.exec(readme)?.[1] ?? '';

const folder = mkdtempSync(join(tmpdir(), 'pipe-clone-'));
const clone = join(folder, 'xfolds');

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly seconds: number;
}

/** A shell line in the clone, with no native backend to be found: the tensors run on WebAssembly. */
function shell(line: string, cwd = clone): Outcome {
  const { PIPE_TEST_COUNTS: _, PIPE_SUITE: __, VITEST: ___, NODE_ENV: ____, ...env } = process.env;
  const started = performance.now();
  const { stdout, stderr, status } = spawnSync('bash', ['-c', line], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...env, PIPE_BACKENDS: join(folder, 'no-backends') },
  });
  return { stdout, stderr, code: status, seconds: (performance.now() - started) / 1000 };
}

interface Row {
  readonly [column: string]: string | number | null;
}
const table = (target: string, options = ''): Row[] => {
  const { stdout, stderr, code } = shell(`npx pipe table scaling.yaml ${target} ${options} --format json`);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Row[];
};

/** What every finished fit must show. */
function expectSoundLaw(options = ''): void {
  const { stdout } = shell(`npx pipe get -f scaling.yaml fit.law ${join(folder, 'law.json')} --overwrite ${options} && cat ${join(folder, 'law.json')}`);
  const law = JSON.parse(stdout.slice(stdout.indexOf('{'))) as {
    readonly [name: string]: unknown;
    readonly interval: Readonly<Record<string, readonly [number | string, number | string]>>;
  };
  for (const name of ['A', 'B', 'E', 'alpha', 'beta']) {
    expect(law[name], name).toSatisfy(Number.isFinite);
    const [low, high] = law.interval[name] ?? [NaN, NaN];
    expect(Number(low), `${name}, lower end`).toBeLessThanOrEqual(Number(high));
  }
}

describe('from a fresh clone', () => {
  let first: Outcome;
  beforeAll(() => {
    const cloned = shell(`git clone --quiet ${repository} ${clone}`, folder);
    if (cloned.code !== 0) throw new Error(cloned.stderr);
    first = shell(firstCommand);
    console.log(`README's first command: ${first.seconds.toFixed(0)} s`);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('installs and runs the main job in one line, ending with the law and the path of the page', () => {
    expect(first.code, first.stderr.slice(-4000)).toBe(0);
    const text = first.stdout + first.stderr;
    expect(text).toMatch(/For this data and .* FLOP, train .* parameters/);
    const page = join(clone, /report: (\S+\.html)/.exec(text)?.[1] ?? '');
    expect(existsSync(page), page).toBe(true);
    expect(readFileSync(page, 'utf8')).toMatch(/<svg/);
  });

  it('names the tensor backend with each training', () => {
    const { stdout } = shell(`npx pipe sql "select distinct json_extract(platform, '$.backend') as backend from attempt where stage = 'train'" --json`);
    expect(stdout).toMatch(/wasm/);
  });

  it('shows loss falling with compute at every size, and retrieval far above chance', () => {
    const rows = table('evaluate');
    const sizes = [...new Set(rows.map(row => row['size']))];
    expect(sizes.length).toBeGreaterThanOrEqual(4);
    for (const size of sizes) {
      const losses = rows.filter(row => row['size'] === size).sort((a, b) => Number(a['flops']) - Number(b['flops'])).map(row => Number(row['loss']));
      expect(losses.length).toBeGreaterThanOrEqual(3);
      for (const [i, loss] of losses.entries()) if (i > 0) expect(loss, `${size}, budget ${i}`).toBeLessThan(losses[i - 1] ?? NaN);
    }
    const best = Math.max(...rows.map(row => Number(row['recall_at_10']) / Number(row['chance_at_10'])));
    expect(best).toBeGreaterThan(5);
    for (const row of rows) expect(Number(row['recall_at_10'])).toBeGreaterThan(Number(row['chance_at_10']));
  });

  it('fits a law with no parameter on a bound', () => {
    expectSoundLaw();
    expect(table('fit')[0]?.['parameters_on_bound']).toBe(0);
  });

  it('runs nothing the second time, and says so', () => {
    const again = shell('npx pipe run scaling.yaml');
    expect(again.code).toBe(0);
    expect(again.stdout + again.stderr).toMatch(/nothing to run/);
  });

  it.skipIf(!hasShared)('downloads real figures with the lab profile and goes all the way to a law with an interval (needs the shared data)', async () => {
    const mirror = await startRocoMirror();
    try {
      const sets = [
        `roco.pmcUrl=${mirror.pmcUrl}`, `roco.textUrl=${mirror.textUrl}`, 'roco.requestsPerSecond=0', 'roco.limit=600',
        'input.resolution=32', 'input.context=32', 'input.vocabulary=1024', 'sizes=[d16l1,d24l2,d32l2]', 'budgets=[1e10,2e10,4e10]', 'seeds=1', 'exclude=[]', 'replicates=200',
      ].map(set => `--set '${set}'`).join(' ');
      // The mirror answers from this process's child, so the shell must not block this process.
      const { execa } = await import('execa');
      const run = await execa('bash', ['-c', `npx pipe run scaling.yaml --profile lab ${sets}`], {
        cwd: clone, reject: false, env: { PIPE_BACKENDS: join(folder, 'no-backends') }, extendEnv: true,
      });
      expect(run.exitCode, run.stderr.slice(-4000)).toBe(0);
      const options = `--profile lab ${sets}`;
      expect(table('download', options)[0]?.['figures']).toBe(600);
      expectSoundLaw(options);
    } finally {
      await mirror.stop();
    }
  });
});
