import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeWith } from './rig/daemon.ts';
import { startSshSite } from './rig/ssh-project.ts';
import type { SshSite } from './rig/ssh-project.ts';

describeWith(['sshd'], 'a host over ssh', () => {
  let site: SshSite;
  beforeAll(async () => void (site = await startSshSite()));
  afterAll(async () => await site.stop());

  it('runs a command there with files of the project and outputs of other cells, and brings back what it makes', async () => {
    const project = site.project(`
stages:
  here:
    in: { text: ./a.txt }
    run: wc -c < \${in.text} > \${out.count}
    out: { count: count.txt }
  there:
    on: box
    in: { count: here.count, folder: ./data, some: ./data/*.csv }
    run: |
      echo "on the host in $PWD"
      cat \${in.count} \${in.folder}/deep/b.csv \${in.some} > \${out.all}
      mkdir \${out.folder}; ln -s x \${out.folder}/link; echo '#!/bin/sh' > \${out.folder}/x; chmod +x \${out.folder}/x
      echo '{"metric":"loss","value":0.5,"step":1}' >> $PIPE_EVENTS
    out: { all: all.txt, folder: folder }
  after:
    in: { all: there.all, folder: there.folder }
    run: cat \${in.all} > \${out.copy}; test -x \${in.folder}/link
    out: { copy: copy.txt }
`, { 'a.txt': 'hello', 'data/deep/b.csv': 'deep\n', 'data/a.csv': 'flat\n' });
    try {
      const first = project.pipe(['run', '--json']);
      expect(first.stderr + first.stdout).toContain('"ran":3');
      expect(first.code).toBe(0);
      expect(project.read('cache/out/p/after/copy')).toBe('5\ndeep\nflat\n');
      expect(project.pipe(['sql', "SELECT attempt.host FROM attempt JOIN metric ON metric.attempt = attempt.id WHERE metric.value = 0.5"]).stdout).toContain('box');
      expect(project.pipe(['logs', 'there']).stdout).toContain(`on the host in ${site.folder}`);
      const second = project.pipe(['run', '--json']);
      expect(second.stdout).toContain('"fresh":3');
    } finally {
      project.remove();
    }
  });

  it('is reached through another, with the same key', async () => {
    const jump = `jump: "root@127.0.0.1:${site.sshd.ports[0]}"`;
    const project = site.project('stages:\n  there: { on: box, run: "ps -e -o args > ${out.o}", out: { o: o.txt } }\n', {}, jump);
    const checked = project.pipe(['hosts']);
    expect(checked.code, checked.stdout + checked.stderr).toBe(0);
    const { code, stdout, stderr } = project.pipe(['run', '--json']);
    expect(code, stdout + stderr).toBe(0);
    expect(project.read('cache/out/p/there/o')).toContain(`-W [127.0.0.1]:${site.sshd.ports[0]}`);
    // A key that the one in between does not take.
    const other = join(site.sshd.folder, 'other');
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', other]);
    project.write('pipe.hosts.yaml', project.read('pipe.hosts.yaml').replace(join(site.sshd.folder, 'id'), other));
    expect(project.pipe(['hosts']).code).toBe(3);
    project.remove();
  });

  it('runs a typed stage there, with its packages, native ones too, and the files beside its modules', () => {
    const project = site.project(`
stages:
  draw:
    uses: draw
    on: box
    with: { width: 7 }
`, {
      'stages/draw.ts': `
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
import { colour } from './lib/colour.ts';
export const stage = defineStage({
  summary: 'Draws.', params: z.strictObject({ width: z.int() }), inputs: {}, outputs: { image: 'file', about: 'folder' },
  async run({ params, outputs, report }) {
    const image = await sharp({ create: { width: params.width, height: 2, channels: 3, background: colour() } }).png().toBuffer();
    const { width } = await sharp(image).metadata();
    report.metric('width', width);
    await sharp(image).png().toFile(outputs.image);
    const { writeFileSync } = await import('node:fs');
    writeFileSync(outputs.about + '/where', import.meta.url + process.env.PIPE_FOLDER);
  },
});
`,
      'stages/lib/colour.ts': `
import { readFileSync } from 'node:fs';
export const colour = () => JSON.parse(readFileSync(new URL('./colour.json', import.meta.url), 'utf8')).colour;
`,
      'stages/lib/colour.json': '{"colour":"#ff0000"}',
    });
    try {
      symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), project.path('node_modules'));
      const { stdout, stderr } = project.pipe(['run', '--json']);
      expect(stdout + stderr).toContain('"ran":1');
      expect(project.read('cache/out/p/draw/about/where')).toContain(site.folder);
      // The code changes and the packages do not: only the code goes over the wire.
      const before = treeSize(join(site.folder, 'store', 'blobs'));
      project.write('stages/lib/colour.json', '{"colour":"#00ff00"}');
      expect(project.pipe(['run', '--json']).stdout).toContain('"ran":1');
      expect(treeSize(join(site.folder, 'store', 'blobs')) - before).toBeLessThan(1 << 20);
    } finally {
      project.remove();
    }
  });

  it('sends the native tensor backend to a host that has none, once, and leaves alone one that has its own', () => {
    const project = site.project(`
stages:
  look: { uses: look, on: box, with: { n: 1 } }
`, {
      'stages/look.ts': `
import { readdirSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { defineStage } from 'xfolds/stage';
export const stage = defineStage({
  summary: 'Looks.', params: z.strictObject({ n: z.int() }), inputs: {}, outputs: { seen: 'file' },
  async run({ outputs }) {
    const folder = process.env.PIPE_BACKENDS!;
    writeFileSync(outputs.seen, folder + ' ' + readdirSync(folder, { recursive: true }).sort().join(' '));
  },
});
`,
      'here/tensorflow-9.9.9-cpu/ready.json': '{"format":1,"tensorflow":"9.9.9","device":"cpu","binding":"binding.node"}',
      'here/tensorflow-9.9.9-cpu/binding.node': 'b'.repeat(100_000),
      'here/tensorflow-9.9.9-cpu/python/tensorflow/libtensorflow_cc.so.2': 'l'.repeat(100_000),
      'here/tensorflow-9.9.9-cpu/python/tensorflow/not-needed.py': '',
      'there/own/ready.json': '{}',
    }, "setup: 'unset PIPE_BACKENDS; export XDG_CACHE_HOME=/nowhere'");
    const env = { PIPE_BACKENDS: project.path('here') };
    try {
      symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), project.path('node_modules'));
      const first = project.pipe(['run', '--json'], env);
      expect(first.stdout + first.stderr).toContain('"ran":1');
      const seen = project.read('cache/out/p/look/seen');
      expect(seen).toMatch(new RegExp(`^${site.folder}/store/artefacts/[0-9a-f]+/backends tensorflow-9\\.9\\.9-cpu tensorflow-9\\.9\\.9-cpu/binding\\.node tensorflow-9\\.9\\.9-cpu/python `));
      expect(seen).toContain('libtensorflow_cc.so.2 tensorflow-9.9.9-cpu/ready.json');
      expect(seen).not.toContain('not-needed');
      const blobs = treeSize(join(site.folder, 'store', 'blobs'));
      project.write('pipe.yaml', project.read('pipe.yaml').replace('n: 1', 'n: 2'));
      expect(project.pipe(['run', '--json'], env).stdout).toContain('"ran":1');
      expect(treeSize(join(site.folder, 'store', 'blobs')) - blobs).toBeLessThan(1000);
      // One with graphics processors gets the backend for them, with CUDA's libraries.
      const gpu = 'here/tensorflow-9.9.9-gpu';
      project.write(`${gpu}/ready.json`, '{"format":1,"tensorflow":"9.9.9","device":"gpu","binding":"binding.node"}');
      for (const path of ['binding.node', 'python/tensorflow/libtensorflow_cc.so.2', 'python/nvidia/cublas/lib/libcublas.so.12', 'python/nvidia/cublas/include/cublas.h']) project.write(`${gpu}/${path}`, path);
      project.write('bin/nvidia-smi', '#!/bin/sh\ncase "$1" in *index*) echo "0, 81559" ;; *) echo "NVIDIA H100, 81559 MiB, 550.54" ;; esac\n');
      chmodSync(project.path('bin/nvidia-smi'), 0o755);
      project.write('pipe.hosts.yaml', `hosts:\n  box: ${site.entry(`setup: 'unset PIPE_BACKENDS; export XDG_CACHE_HOME=/nowhere PATH=${project.path('bin')}:$PATH'`)}\n`);
      expect(project.pipe(['hosts'], env).stdout).toMatch(/✓ gpu +NVIDIA H100, 81559 MiB, 550\.54\n +✓ backend +the first typed cell sends this machine's \(tensorflow-9\.9\.9-gpu\)/);
      project.write('pipe.yaml', project.read('pipe.yaml').replace('n: 2', 'n: 4'));
      expect(project.pipe(['run', '--json'], env).stdout).toContain('"ran":1');
      expect(project.read('cache/out/p/look/seen')).toContain('tensorflow-9.9.9-gpu/python/nvidia/cublas/lib/libcublas.so.12');
      expect(project.read('cache/out/p/look/seen')).not.toContain('cublas.h');
      rmSync(project.path('here/tensorflow-9.9.9-gpu'), { recursive: true });
      expect(project.pipe(['hosts'], env).stdout).toMatch(/! backend +its GPUs are not used by tensors: the first typed cell sends .*-cpu\)\n.*pipe backend install --gpu/);
      const own = project.path('there');
      project.write('pipe.hosts.yaml', `hosts:\n  box: ${site.entry(`setup: 'export PIPE_BACKENDS=${own}'`)}\n`);
      project.write('pipe.yaml', project.read('pipe.yaml').replace('n: 4', 'n: 3'));
      expect(project.pipe(['run', '--json'], env).stdout).toContain('"ran":1');
      expect(project.read('cache/out/p/look/seen')).toBe(`${own} own own/ready.json`);
    } finally {
      project.remove();
    }
  });

  it('leaves a large output there until somebody needs it', () => {
    const project = site.project(`
stages:
  make:
    on: box
    run: head -c 300000 /dev/zero > \${out.big}; echo small > \${out.small}
    out: { big: big.bin, small: small.txt }
  there:
    on: box
    in: { big: make.big }
    run: wc -c < \${in.big} > \${out.size}
    out: { size: size.txt }
  here:
    in: { big: make.big, size: there.size }
    run: wc -c < \${in.big} > \${out.size}
    out: { size: size.txt }
`, {}, 'pull: 100K');
    try {
      expect(project.pipe(['run', 'there', '--json']).stdout).toContain('"ran":2');
      expect(existsSync(project.path('cache/out/p/make/small'))).toBe(true);
      expect(existsSync(project.path('cache/out/p/make/big'))).toBe(false);
      expect(project.pipe(['status', 'there', '--check']).code).toBe(0);
      const got = project.pipe(['get', 'make.big', 'big.copy']);
      expect(got.stderr + got.stdout).toContain('big.copy');
      expect(statSync(project.path('big.copy')).size).toBe(300000);
      expect(project.pipe(['run', '--json']).stdout).toContain('"ran":1');
      expect(project.read('cache/out/p/here/size').trim()).toBe('300000');
    } finally {
      project.remove();
    }
  });

  it('gives a stage its secret, and nobody else: no file there or here, log or database holds it', () => {
    const secret = 'tr0ub4dor-and-3';
    const project = site.project(`
stages:
  make:
    on: box
    env: { secret: [API_TOKEN] }
    run: |
      echo "the token is $API_TOKEN"
      echo "{\\"note\\": \\"token $API_TOKEN\\"}" >> $PIPE_EVENTS
      printf '%s' "$API_TOKEN" | wc -c > \${out.o}
    out: { o: o.txt }
`);
    try {
      const { stdout, stderr } = project.pipe(['run', '--json'], { API_TOKEN: secret });
      expect(stdout + stderr).toContain('"ran":1');
      expect(project.read('cache/out/p/make/o').trim()).toBe(String(secret.length));
      expect(project.pipe(['logs', 'make']).stdout).toContain('the token is [secret]');
      const holds = spawnSync('grep', ['-rlF', secret, site.folder, project.folder], { encoding: 'utf8' });
      expect(holds.stdout).toBe('');
      expect(stdout).not.toContain(secret);
    } finally {
      project.remove();
    }
  });

  it('refuses a host that there is not, with its place and what was probably meant', () => {
    const project = site.project(`
stages:
  make: { on: bos, run: "true" }
`);
    try {
      const { stderr, code } = project.pipe(['status']);
      expect(code).toBe(2);
      expect(stderr).toContain('there is no host `bos`');
      expect(stderr).toContain('did you mean `box`?');
      expect(stderr).toMatch(/pipe\.yaml:4:15/);
      expect(project.pipe(['run', '--on', 'nowhere']).code).toBe(2);
    } finally {
      project.remove();
    }
  });
});

const treeSize = (folder: string): number =>
  readdirSync(folder, { recursive: true, withFileTypes: true }).reduce((sum, entry) => sum + (entry.isFile() ? statSync(join(entry.parentPath, entry.name)).size : 0), 0);
