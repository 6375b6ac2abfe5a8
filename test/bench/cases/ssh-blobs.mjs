import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { project } from '../fixtures/files.mjs';
import { withSshd, writeBlobs } from '../fixtures/ssh.mjs';
import { interleave } from '../interleave.mjs';
import { removeTree } from '../remove-tree.mjs';
import { wallOf } from '../statistics.mjs';

const [count, bytes] = [1000, 1_000_000];
/** Its key is another one each time; it does not read what it is given, since that is not what is timed. */
const pipeline = 'pipeline: blobs\nparams: { round: 0 }\nstages:\n  take:\n    on: box\n    in: { data: ./data }\n    run: test -e ${in.data}/00000.bin; echo ${params.round}\n';

/** @param {import('../model.mjs').Bench} bench @param {string} hosts */
function blobProject(bench, hosts) {
  const folder = project(join(bench.folder, 'project'), { 'package.json': '{}', 'pipe.yaml': pipeline, 'pipe.hosts.yaml': hosts });
  writeBlobs(join(folder, 'data'), count, bytes);
  return folder;
}

/** Contents in the host's store, and when the last of them came. @param {string} host */
function blobsOf(host) {
  const root = join(host, 'store', 'blobs');
  const paths = readdirSync(root).flatMap(part => readdirSync(join(root, part)).map(name => join(root, part, name)));
  return { count: paths.length, last: Math.max(...paths.map(path => statSync(path).mtimeMs)) };
}

let next = 1;

/** @param {import('../model.mjs').Bench} bench @param {string} folder */
const run = (bench, folder) => () => [process.execPath, bench.pipe, 'run', 'pipe.yaml', '--set', `round=${next++}`, '--json'];

/** @type {import('../model.mjs').Case} */
export const sshUnchanged = {
  name: 'ssh-unchanged',
  title: '1,000 unchanged files of 1 MB for a stage on a warm host',
  measure: bench => withSshd(bench, async ({ hosts, folder: host }) => {
    const folder = blobProject(bench, hosts);
    let before = { count: 0, last: 0 };
    /** @type {import('../model.mjs').Contestant} */
    const pipe = {
      subject: 'pipe run', cwd: folder, warmups: 1, get command() { return run(bench, folder)(); },
      before: round => void (round >= 0 && (before = blobsOf(host))),
      verify: (sample, round) => {
        if (!sample.output.includes('"ran":1')) throw new Error(`it did not run:\n${sample.output.slice(-1000)}`);
        const now = blobsOf(host);
        if (round >= 0 && (now.count !== before.count || now.last !== before.last)) throw new Error('contents were sent');
      },
    };
    const measured = await interleave([pipe], bench.runs ?? 7, bench.say);
    return {
      measured,
      verdicts: [{ bar: 'the whole run: ≤ 1.5 s', value: (wallOf(measured, 'pipe run') ?? NaN) / 1000, limit: 1.5, direction: 'at most', unit: 's' }],
      notes: ['start, plan, connection and the stage itself are in it; that no content came is seen in the host\'s store'],
    };
  }),
};

/** @type {import('../model.mjs').Case} */
export const sshUpload = {
  name: 'ssh-upload',
  title: '1 GB in 1,000 files to a host that has none of them',
  measure: bench => withSshd(bench, async ({ hosts, folder: host, shell }) => {
    const folder = blobProject(bench, hosts);
    const copy = join(bench.folder, 'copy');
    /** @type {import('../model.mjs').Contestant} */
    const pipe = {
      subject: 'pipe run', cwd: folder, warmups: 1, get command() { return run(bench, folder)(); },
      before: () => removeTree(join(host, 'store')),
      verify: sample => {
        if (!sample.output.includes('"ran":1') || blobsOf(host).count !== count) throw new Error(`not all was sent:\n${sample.output.slice(-1000)}`);
      },
    };
    /** @type {import('../model.mjs').Contestant} */
    const rsync = {
      subject: 'rsync -a', cwd: folder, warmups: 1, command: ['rsync', '-a', '-e', shell, 'data/', `root@127.0.0.1:${copy}/`],
      before: () => rmSync(copy, { recursive: true, force: true }),
      verify: () => {
        if (readdirSync(copy).length !== count) throw new Error('rsync did not copy all');
      },
    };
    const measured = await interleave([pipe, rsync], bench.runs ?? 3, bench.say);
    const ratio = (wallOf(measured, 'rsync -a') ?? NaN) / (wallOf(measured, 'pipe run') ?? NaN);
    return {
      measured,
      verdicts: [{ bar: '≥ 0.7× the rate of rsync', value: ratio, limit: 0.7, direction: 'at least', unit: '×' }],
      notes: ['the whole run: start, plan, connection, every content checked by its digest there, the stage; its digests are known here'],
    };
  }),
};
