import { randomBytes } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts } from '../fixtures/free-ports.mjs';
import { project } from '../fixtures/files.mjs';
import { interleave } from '../interleave.mjs';
import { wallOf } from '../statistics.mjs';

const files = 8;
const fileBytes = 125_000_000;
const bytes = files * fileBytes;

/** @typedef {{ name: string, title: string, ports: number, settings: (ports: readonly number[]) => string, url: (ports: readonly number[], name: string) => string, stored: string, env: Readonly<Record<string, string>>, curl: readonly string[] }} Server */

/** @type {readonly Server[]} */
const servers = [
  {
    name: 'http-cache', title: 'nginx on loopback', ports: 2, stored: 'data/cas', curl: [],
    settings: ([port]) => `url: http://127.0.0.1:${port}\n`, url: ([port], name) => `http://127.0.0.1:${port}/cas/${name}`,
    env: { PIPE_REMOTE_CACHE_USER: 'ci', PIPE_REMOTE_CACHE_PASSWORD: 's3cret' },
  },
  {
    name: 's3', title: 'an S3 server (versitygw) on loopback', ports: 1, stored: 'data/results/cas', curl: ['--aws-sigv4', 'aws:amz:us-east-1:s3', '-H', 'x-amz-content-sha256: UNSIGNED-PAYLOAD', '--user', 'testkey123:testsecret123'],
    settings: ([port]) => `url: s3://results\nendpoint: http://127.0.0.1:${port}\n`, url: ([port], name) => `http://127.0.0.1:${port}/results/cas/${name}`,
    env: { AWS_ACCESS_KEY_ID: 'testkey123', AWS_SECRET_ACCESS_KEY: 'testsecret123' },
  },
];

/**
 * 1 GB that nothing compresses, in eight files: `pipe cache pull` of a result that somebody pushed, every byte of it
 * checked, and `curl` of the same blobs, which checks nothing.
 * @param {Server} server @returns {import('../model.mjs').Case}
 */
const restoreFrom = server => ({
  name: `restore-${server.name}`,
  title: `1 GB out of the shared cache, from ${server.title}`,
  async measure(bench) {
    const script = join(bench.repository, 'test/services/daemons', `${server.name}.sh`);
    if (spawnSync(script, ['present']).status !== 0) {
      return { measured: [], verdicts: [], notes: [`left out: ${server.name} is not installed (test/services/setup.sh ${server.name})`] };
    }
    const daemon = join(bench.folder, 'daemon');
    const ports = await freePorts(server.ports);
    execFileSync(script, ['start', daemon, ...ports.map(String)], { stdio: 'ignore' });
    try {
      return await measureOn(bench, server, daemon, ports);
    } finally {
      execFileSync(script, ['stop', daemon], { stdio: 'ignore' });
    }
  },
});

/** @param {import('../model.mjs').Bench} bench @param {Server} server @param {string} daemon @param {readonly number[]} ports @returns {Promise<import('../model.mjs').CaseResult>} */
async function measureOn(bench, server, daemon, ports) {
  const env = { ...server.env, HOME: bench.folder, XDG_CONFIG_HOME: join(bench.folder, 'config') };
  const folder = project(join(bench.folder, 'pipe'), {
    'package.json': '{}',
    'pipe.cache.yaml': server.settings(ports),
    'pipe.yaml': 'pipeline: large\nstages:\n  make:\n    in: { data: ./data }\n    run: cp -r "${in.data}/." "${out.all}"\n    out: { all: all/ }\n',
  });
  mkdirSync(join(folder, 'data'));
  for (let file = 0; file < files; file++) writeRandom(join(folder, 'data', `part-${file}.bin`));
  const call = (/** @type {readonly string[]} */ args) => execFileSync(process.execPath, [bench.pipe, ...args], { cwd: folder, env: { ...process.env, ...env }, encoding: 'utf8' });
  call(['cache', 'keys', 'generate']);
  call(['run', '--push', '--plain']);
  rmSync(join(folder, 'cache'), { recursive: true, force: true });
  // Those of the output; the others are the record's.
  const blobs = readdirSync(join(daemon, server.stored)).filter(name => statSync(join(daemon, server.stored, name)).size === fileBytes);
  if (blobs.length !== files) throw new Error(`${blobs.length} blobs of ${fileBytes} bytes were pushed, and should be ${files}`);
  const into = join(bench.folder, 'curl');
  /** @type {import('../model.mjs').Contestant[]} */
  const contestants = [
    {
      subject: 'pipe cache pull', command: [process.execPath, bench.pipe, 'cache', 'pull', '--json'], cwd: folder, env,
      before() {
        rmSync(join(folder, 'cache'), { recursive: true, force: true });
        // What was known of the project's own files is not what is measured: the plan is made once before.
        call(['status', '--json']);
      },
      verify(sample) {
        const { bytes: came, failed } = JSON.parse(sample.output);
        if (came !== bytes || failed.length > 0) throw new Error(`not all came: ${sample.output}`);
        execFileSync('diff', ['-r', join(folder, 'data'), join(folder, 'cache/out/large/make/all')]);
      },
    },
    {
      subject: 'curl of the same blobs', cwd: bench.folder,
      command: ['curl', '-sSf', ...server.curl, ...blobs.flatMap(name => ['-o', join(into, name), server.url(ports, name)])],
      before() {
        rmSync(into, { recursive: true, force: true });
        mkdirSync(into);
      },
      verify() {
        if (readdirSync(into).some(name => statSync(join(into, name)).size !== fileBytes)) throw new Error('curl did not get all');
      },
    },
  ];
  const measured = await interleave(contestants, bench.runs ?? 5, bench.say);
  const pull = wallOf(measured, 'pipe cache pull');
  const curl = wallOf(measured, 'curl of the same blobs');
  return {
    measured,
    verdicts: pull === null || curl === null ? [] : [{ bar: "≥ 0.6× curl's rate, verified", value: curl / pull, limit: 0.6, direction: 'at least', unit: '×' }],
    notes: [`checked: ${bytes / 1e6} MB came each time, and every file is what it was`, 'pull starts from an empty store and hashes all of it; neither waits for the disk'],
  };
}

/** @param {string} path */
function writeRandom(path) {
  const file = openSync(path, 'w');
  for (let left = fileBytes; left > 0; left -= 25_000_000) writeSync(file, randomBytes(25_000_000));
  closeSync(file);
}

export const restoreShared = servers.map(restoreFrom);
