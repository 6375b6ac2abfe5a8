/** `pipe hosts` against a real sshd: what it says of hosts that can be used, and of those that cannot. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { HostReport } from '../../src/runner/remote/check-host.ts';
import { makeProject } from '../rig/pipe.ts';
import { describeWith } from './rig/daemon.ts';
import { withSmallDisk } from './rig/small-disk.ts';
import { startSlurmSite } from './rig/slurm-site.ts';
import { startSshSite } from './rig/ssh-project.ts';
import type { SshSite } from './rig/ssh-project.ts';

interface Checked {
  readonly code: number | null;
  readonly ok: boolean;
  /** `LEVEL what: says | mend` of everything that is not as it should be. */
  readonly wrong: readonly string[];
  readonly report: HostReport;
}

describeWith(['sshd'], 'pipe hosts', () => {
  let site: SshSite;
  beforeAll(async () => void (site = await startSshSite()));
  afterAll(async () => await site.stop());

  function check(entry: string, env: Readonly<Record<string, string>> = {}): Checked {
    const project = makeProject({ 'package.json': '{}', 'pipe.hosts.yaml': `hosts:\n  box: ${entry}\n` });
    try {
      const { stdout, stderr, code } = project.pipe(['hosts', '--json'], env);
      expect(stderr).toBe('');
      const { ok, hosts } = JSON.parse(stdout) as { ok: boolean; hosts: HostReport[] };
      return { code, ok, wrong: hosts[0]!.findings.filter(({ level, what }) => level !== 'ok' && what !== 'gpu' && what !== 'backend').map(({ level, what, says, mend }) => `${level} ${what}: ${says} | ${mend ?? ''}`), report: hosts[0]! };
    } finally {
      project.remove();
    }
  }

  it('says of a host that can be used what it has, and sends nothing', () => {
    const { code, ok, wrong, report } = check(site.entry());
    expect(wrong).toEqual([]);
    expect([code, ok, report.kind]).toEqual([0, true, 'ssh']);
    expect(report.findings.map(({ what }) => what)).toEqual(['reachable', 'clock', 'machine', 'disk', 'node', 'programs', 'gpu', 'backend']);
    expect(existsSync(join(site.folder, 'bin', 'host-agent.js'))).toBe(false);
    expect(execFileSync('find', [site.folder, '-type', 'f'], { encoding: 'utf8' })).toBe('');
  });

  it('names what is wrong with a login, and the command that mends it', () => {
    expect(check(site.entry().replace(/port: \d+/, 'port: 1')).wrong).toEqual([expect.stringMatching(/^missing reachable: .*Connection refused.*is sshd running.* \| ssh -v -p 1 /)]);
    expect(check(site.entry().replace(/\/id,/, '/hostkey,')).wrong).toEqual([expect.stringMatching(/^missing reachable: .*Permission denied.* \| ssh-copy-id -p \d+ -i .*hostkey root@127\.0\.0\.1$/)]);
    expect(check(site.entry().replace(/\/id,/, '/none,')).wrong).toEqual([expect.stringMatching(/^missing reachable: .*`key:`.* \| ssh-keygen -t ed25519 -f .*none$/)]);
    expect(check(site.entry().replace(/UserKnownHostsFile: [^,]+/, 'UserKnownHostsFile: /dev/null')).wrong).toEqual([expect.stringMatching(/^missing reachable: .*Host key verification failed.*accept its key.* \| ssh .*true$/)]);
    expect(check('{ ssh: root@no-such-machine.invalid }').wrong).toEqual([expect.stringMatching(/^missing reachable: .*Could not resolve.*check the name/)]);
    expect(check(site.entry().replace('IdentitiesOnly: yes', 'Nonsense: yes')).wrong).toEqual([expect.stringMatching(/^missing reachable: .*`options:`/)]);
    const changed = join(site.sshd.folder, 'known_other');
    writeFileSync(changed, `[127.0.0.1]:${site.sshd.ports[0]} ${execFileSync('cut', ['-d ', '-f1,2', join(site.sshd.folder, 'id.pub')], { encoding: 'utf8' })}`);
    expect(check(site.entry().replace(/UserKnownHostsFile: [^,]+/, `UserKnownHostsFile: ${changed}`)).wrong).toEqual([expect.stringMatching(/^missing reachable: .*another key than before.* \| ssh-keygen -R '\[127\.0\.0\.1\]:\d+'$/)]);
    expect(check(site.entry('folder: /dev/null/x').replace(/folder: [^,]+, /, '')).wrong).toEqual([expect.stringMatching(/^missing disk: \/dev\/null\/x cannot be written to: .* \| folder: /)]);
  });

  it('tells a Node that is not there, one that is too old, and one that does not start', () => {
    const folder = mkdtempSync(join(tmpdir(), 'pipe-node-'));
    try {
      const fake = (name: string, text: string): string => {
        writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
        return join(folder, name);
      };
      const node = (path: string): Checked => check(site.entry(`node: ${path}`));
      expect(node(join(folder, 'none'))).toMatchObject({ code: 3, ok: false, wrong: [expect.stringMatching(/^missing node: there is none at .*none \| node: /)] });
      expect(node(fake('old', 'echo v18.19.0')).wrong).toEqual([expect.stringMatching(/^missing node: v18\.19\.0 .* and 20\.19 or later is needed/)]);
      expect(node(fake('broken', 'echo "GLIBC_2.99 not found" >&2; exit 1')).wrong).toEqual([expect.stringMatching(/^missing node: .*broken does not start: GLIBC_2\.99 not found/)]);
      expect(node(process.execPath).wrong).toEqual([]);
      // A host of another kind, whose PATH has an old one or none.
      const elsewhere = join(folder, 'bin');
      mkdirSync(elsewhere);
      writeFileSync(join(elsewhere, 'uname'), '#!/bin/sh\ncase "$*" in -s) echo FreeBSD ;; -m) echo amd64 ;; *) exec /bin/uname "$@" ;; esac\n', { mode: 0o755 });
      for (const tool of ['awk', 'cat', 'cut', 'date', 'dd', 'df', 'dirname', 'getconf', 'grep', 'head', 'id', 'mkdir', 'rm', 'sed', 'sh', 'tail']) {
        symlinkSync([`/usr/bin/${tool}`, `/bin/${tool}`].find(path => existsSync(path))!, join(elsewhere, tool));
      }
      symlinkSync(join(folder, 'old'), join(elsewhere, 'node'));
      expect(check(site.entry(`setup: 'PATH=${elsewhere}'`)).wrong).toEqual([expect.stringMatching(/^missing node: v18\.19\.0/)]);
      rmSync(join(elsewhere, 'node'));
      expect(check(site.entry(`setup: 'PATH=${elsewhere}'`)).wrong).toEqual([expect.stringMatching(/^missing node: there is none on its PATH, and this machine's is for another system/)]);
      // A run says the same.
      const project = site.project('stages: { a: { on: box, run: "true" } }\n', {}, `node: ${join(folder, 'old')}`);
      expect(project.pipe(['run']).stderr).toMatch(/the Node at .*old is v18\.19\.0, and 20\.19 or later is needed/);
      project.remove();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('tells a full disk', async () => {
    await withSmallDisk(200, disk => {
      writeFileSync(join(disk, 'filler'), Buffer.alloc(150 * 1024));
      const { wrong, code } = check(site.entry().replace(/folder: [^,]+,/, `folder: ${disk},`));
      expect(wrong).toEqual([expect.stringMatching(/^missing disk: (the disk is full|.*too little to run anything).* \| pipe hosts gc box$/)]);
      expect(code).toBe(3);
    });
  });

  it('compares what the hosts file declares with what is there', () => {
    const [other] = check(site.entry('interpreters: { python3: Python 2.7.1 }')).wrong;
    const [, python] = /^note interpreter: python3 is (Python 3\.[\d.]+), and the hosts file says Python 2\.7\.1 \| interpreters: \{ python3: \1 \}$/.exec(other ?? '') ?? [];
    expect(python).toBeDefined();
    expect(check(site.entry(`interpreters: { python3: ${python} }`)).wrong).toEqual([]);
    expect(check(site.entry('interpreters: { no-such-thing: 1.0 }'.replace('1.0', "'1.0'"))).wrong).toEqual([expect.stringMatching(/^missing interpreter: no-such-thing is .*not found/)]);
    expect(check(site.entry('platform: { os: linux-riscv64 }')).wrong).toEqual([expect.stringMatching(/^missing machine: .* and the hosts file says linux-riscv64 \| platform: \{ os: linux-/)]);
  });

  it('tells a clock that is an hour off', () => {
    const bin = mkdtempSync(join(tmpdir(), 'pipe-clock-'));
    try {
      writeFileSync(join(bin, 'date'), '#!/bin/sh\necho $(( $(/bin/date +%s) - 3600 )).5\n', { mode: 0o755 });
      const { wrong, code } = check(site.entry(`setup: 'PATH=${bin}:$PATH'`));
      expect(wrong).toEqual([expect.stringMatching(/^note clock: 1 h behind this machine.* \| ssh .*timedatectl/)]);
      expect(code).toBe(0);
    } finally {
      rmSync(bin, { recursive: true, force: true });
    }
  });

  it('lets go what nobody has used for long, and keeps what only the host has', () => {
    const project = site.project(`
stages:
  make: { on: box, in: { text: ./text }, run: "head -c 300000 /dev/zero > \${out.big}", out: { big: big.bin } }
  read: { on: box, in: { big: make.big }, run: "wc -c < \${in.big} > \${out.size}", out: { size: size.txt } }
`, { text: 'x'.repeat(200_000) }, 'pull: 100K');
    const gc = (...words: string[]): { remove: { kind: string; name: string }[]; kept: Record<string, number>; bytesBefore: number; bytesAfter: number } =>
      JSON.parse(project.pipe(['hosts', 'gc', 'box', '--json', ...words]).stdout) as ReturnType<typeof gc>;
    try {
      expect(project.pipe(['run', '--json']).stdout).toContain('"ran":2');
      expect(gc()).toMatchObject({ remove: [], kept: { onlyHere: 1 } });
      // Forty days later.
      execFileSync('find', [site.folder, '-exec', 'touch', '-h', '-d', '40 days ago', '{}', '+']);
      const plan = gc();
      expect(plan.remove.map(({ kind, name }) => `${kind} ${name}`).sort()).toEqual(['artefact size.txt', 'artefact text']);
      expect(plan.kept).toMatchObject({ onlyHere: 1 });
      expect(plan.bytesAfter).toBe(300_000);
      expect(project.pipe(['hosts', 'gc', 'box']).stdout).toMatch(/remove artefact +text .*last used[\s\S]*1 artefact \(only there, and results of this cache\)[\s\S]*nothing was removed: --yes does it/);
      expect(project.pipe(['hosts', 'gc', 'box', '--yes']).stdout).toMatch(/freed 2\d\d KB/);
      expect(execFileSync('find', [join(site.folder, 'store', 'blobs'), '-type', 'f', '-size', '+100k'], { encoding: 'utf8' }).trim().split('\n')).toHaveLength(1);
      // What is gone is sent again, and what stayed is still good.
      expect(project.pipe(['run', '--json', '--force=read']).stdout).toContain('"ran":1');
      project.write('text', 'y');
      expect(project.pipe(['run', '--json']).stdout).toContain('"ran":1');
    } finally {
      project.remove();
    }
  });

  it('checks those named, in words, and suggests a name that is nearly right', () => {
    const project = makeProject({ 'package.json': '{}', 'pipe.hosts.yaml': `hosts:\n  box: ${site.entry()}\n  off: { ssh: root@no-such-machine.invalid }\n` });
    try {
      const box = project.pipe(['hosts', 'box']);
      expect(box.code).toBe(0);
      expect(box.stdout).toMatch(/^box\n {2}✓ reachable {4}root@\S+, answered in /);
      const both = project.pipe(['hosts']);
      expect(both.code).toBe(3);
      expect(both.stdout).toMatch(/^off: cannot be used\n {2}✗ reachable .*\n +mend: ssh /m);
      expect(project.pipe(['hosts', 'bax'])).toMatchObject({ code: 2, stderr: expect.stringContaining('did you mean `box`?') as string });
      expect(project.pipe(['hosts', 'local'])).toMatchObject({ code: 2, stderr: expect.stringContaining('pipe doctor') as string });
      project.write('pipe.hosts.yaml', 'hosts:\n  box: { shh: x }\n');
      expect(project.pipe(['hosts'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/pipe\.hosts\.yaml:2:10: error\[unknown-key\][\s\S]*did you mean `ssh`/) as string });
      rmSync(project.path('pipe.hosts.yaml'));
      expect(project.pipe(['hosts'], { XDG_CONFIG_HOME: project.folder })).toMatchObject({ code: 0, stderr: expect.stringContaining('there is no pipe.hosts.yaml') as string });
    } finally {
      project.remove();
    }
  });
});

describeWith(['slurm'], 'pipe hosts and a cluster', () => {
  it('shows its partitions, and says when the one named is not among them', async () => {
    const site = await startSlurmSite();
    const project = site.project('stages: { a: { run: "true" } }\n');
    try {
      const good = project.pipe(['hosts', '--json'], site.env);
      const report = (JSON.parse(good.stdout) as { hosts: HostReport[] }).hosts[0]!;
      expect(report, good.stdout).toMatchObject({ name: 'lab', kind: 'slurm', ok: true });
      expect(report.findings.find(({ what }) => what === 'slurm')?.says).toMatch(/^slurm\S* \d.*: main 1 idle with gpu/);
      project.write('pipe.hosts.yaml', `hosts:\n  lab: { slurm: { partition: 'main,urgent' }, folder: ${site.folder} }\n`);
      expect(project.pipe(['hosts'], site.env)).toMatchObject({ code: 0, stdout: expect.stringMatching(/✓ slurm .*: main 1 idle .*; urgent 1 idle/) as string });
      project.write('pipe.hosts.yaml', `hosts:\n  lab: { slurm: { partition: man }, folder: ${site.folder} }\n`);
      expect(project.pipe(['hosts'], site.env)).toMatchObject({ code: 3, stdout: expect.stringMatching(/✗ slurm .*no partition man: there are main, urgent\n.*in pipe\.hosts\.yaml: slurm: \{ partition: main \}/) as string });
    } finally {
      project.remove();
      await site.stop();
    }
  });
});
