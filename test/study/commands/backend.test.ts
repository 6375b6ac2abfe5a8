import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { backendCommand } from '../../../src/study/commands/backend.ts';
import type { CommandContext } from '../../../src/study/commands/command.ts';
import { checkDisk, installNative, nativeFolder, removeNative } from '../../../src/study/commands/install-native.ts';
import { withInstallLock } from '../../../src/study/commands/install-lock.ts';
import { execaSync } from 'execa';

/** Runs `pipe backend …` and gives what it wrote. */
async function pipe(args: readonly string[], json = false): Promise<string> {
  let output = '';
  const context: CommandContext = {
    projectRoot: process.cwd(),
    write: (text) => void (output += text),
    writeError: () => {},
    isTerminal: false,
    json,
  };
  const program = new Command('pipe').exitOverride();
  backendCommand.register(program, context);
  await program.parseAsync([...args], { from: 'user' });
  return output;
}

const fresh = (): string => mkdtempSync(join(tmpdir(), 'backends-'));

/** A PATH with links to these programs and nothing else. */
function pathOf(...names: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'path-'));
  for (const name of names) symlinkSync(execaSync('which', [name]).stdout, join(folder, name));
  return folder;
}

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('pipe backend install (linux x64)', () => {
  const install = (env: NodeJS.ProcessEnv): Promise<unknown> =>
    installNative({ env, say: () => {}, force: false }).catch((error: unknown) => error);

  it('says which tool is missing, and the command that brings it', async () => {
    const node = dirname(process.execPath);
    expect(await install({ PATH: '/nowhere', PIPE_BACKENDS: fresh() })).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('Python 3 is needed') as string,
      hint: 'apt-get install python3 python3-pip',
    });
    expect(await install({ PATH: `${process.env['PATH']}`, CXX: 'no-such-compiler', PIPE_BACKENDS: fresh(), HOME: node })).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('a C++ compiler (no-such-compiler)') as string,
    });
  });

  it('leaves nothing that looks installed when the registry cannot be reached', async () => {
    const root = fresh();
    const env = { ...process.env, PIPE_BACKENDS: root, PIP_INDEX_URL: 'http://127.0.0.1:9/', PIP_FIND_LINKS: '', PIP_RETRIES: '0', PIP_NO_CACHE_DIR: '1' };
    expect(await install(env)).toMatchObject({ exitCode: 3, message: expect.stringMatching(/^pip could not fetch TensorFlow/) as string });
    expect(existsSync(join(nativeFolder(env), 'ready.json'))).toBe(false);
    expect(readdirSync(nativeFolder(env))).not.toContain('install.lock');
  });

  it('is told by the folder alone when it is already there, and removes it', async () => {
    const env = { PIPE_BACKENDS: fresh(), PATH: '/nowhere' };
    mkdirSync(nativeFolder(env), { recursive: true });
    writeFileSync(join(nativeFolder(env), 'tfjs_binding.node'), '');
    writeFileSync(join(nativeFolder(env), 'ready.json'), JSON.stringify({ format: 1, tensorflow: '2.21.0', device: 'cpu', binding: 'tfjs_binding.node' }));
    const lines: string[] = [];
    await installNative({ env, say: (line) => lines.push(line), force: false });
    // One made before there was an addon that keeps stderr clean works without, where it cannot be compiled.
    expect(lines).toEqual([
      expect.stringMatching(/^TensorFlow goes on to write notes to stderr when it is loaded: Python 3 is needed/),
      `TensorFlow 2.21.0 is already installed in ${nativeFolder(env)}`,
    ]);
    lines.length = 0;
    writeFileSync(join(nativeFolder(env), 'hold_stderr.node'), '');
    await installNative({ env, say: (line) => lines.push(line), force: false });
    expect(lines).toEqual([`TensorFlow 2.21.0 is already installed in ${nativeFolder(env)}`]);
    // One for graphics processors that was not finished goes, too.
    mkdirSync(nativeFolder(env, 'gpu'));
    expect(await removeNative(env)).toEqual([nativeFolder(env), nativeFolder(env, 'gpu')]);
    expect(existsSync(nativeFolder(env))).toBe(false);
    expect(await removeNative(env)).toEqual([]);
  });

  it('says that the disk is too small, and how to take another', async () => {
    expect(await checkDisk(fresh(), 1e18).catch((error: unknown) => error)).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/^native TensorFlow needs 1000000000 GB, and .* has [\d.]+ GB free$/) as string,
      hint: expect.stringContaining('PIPE_BACKENDS=/path pipe backend install') as string,
    });
  });

  it('says that Python has no pip, and that the index has no wheel', async () => {
    const path = pathOf('npm', 'node', 'tar', 'g++', 'bash');
    const python = (script: string): void => writeFileSync(join(path, 'python3'), `#!/usr/bin/env bash\n${script}\n`, { mode: 0o755 });
    const env = { PATH: path, PIPE_BACKENDS: fresh() };
    python('[ "$1" = --version ]');
    expect(await install(env)).toMatchObject({ exitCode: 3, message: expect.stringMatching(/^pip is needed/) as string, hint: 'apt-get install python3-pip' });
    python('case "$*" in *requirement*) echo "ERROR: No matching distribution found for tensorflow-cpu==2.21.0" >&2; exit 1;; esac');
    expect(await install(env)).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/^pip could not fetch TensorFlow:\nERROR: No matching distribution/) as string,
      hint: expect.stringContaining('the index has no such wheel') as string,
    });
    expect(existsSync(join(nativeFolder(env), 'ready.json'))).toBe(false);
  });

  it('looks at the driver before it downloads gigabytes, and asks for all of CUDA at once', async () => {
    const path = pathOf('npm', 'node', 'tar', 'g++', 'bash', 'cat');
    const asked = join(fresh(), 'asked');
    const fake = (name: string, script: string): void => writeFileSync(join(path, name), `#!/usr/bin/env bash\n${script}\n`, { mode: 0o755 });
    fake('python3', `case "$*" in *requirement*) cat "\${@: -1}" > ${asked}; echo enough >&2; exit 1;; esac`);
    const env = { PATH: path, PIPE_BACKENDS: fresh() };
    const installGpu = (): Promise<unknown> => installNative({ env, say: () => {}, force: false, device: 'gpu' }).catch((error: unknown) => error);
    expect(await installGpu()).toMatchObject({
      exitCode: 3,
      message: 'there is no NVIDIA driver: `nvidia-smi` is not on PATH',
      hint: expect.stringMatching(/^apt-get install nvidia-driver-\d+, and restart the machine; without a graphics processor: pipe backend install$/) as string,
    });
    fake('nvidia-smi', 'echo "470.82.01, Tesla T4"');
    expect(await installGpu()).toMatchObject({ exitCode: 3, message: 'the NVIDIA driver 470.82.01 is older than 525.60.13, which CUDA 12 needs' });
    expect(existsSync(nativeFolder(env, 'gpu'))).toBe(false);
    fake('nvidia-smi', 'echo "570.172.08, NVIDIA H100 80GB HBM3"');
    // Some disks of test machines are smaller than CUDA.
    const result = await installGpu();
    if (!existsSync(asked)) return expect(result).toMatchObject({ message: expect.stringMatching(/needs 14 GB/) as string });
    expect(result).toMatchObject({ message: 'pip could not fetch TensorFlow:\nenough' });
    const lines = readFileSync(asked, 'utf8').trim().split('\n');
    expect(lines).toHaveLength(13);
    expect(lines[0]).toMatch(/^tensorflow==2\.21\.0 --hash=sha256:[0-9a-f]{64}$/);
    expect(lines.slice(1).every((line) => /^nvidia-[a-z0-9-]+-cu12==[\d.]+ --hash=sha256:[0-9a-f]{64}$/.test(line))).toBe(true);
  });
});

describe('the install lock', () => {
  it('keeps a second process out, and is taken over from one that has ended', async () => {
    const folder = fresh();
    await withInstallLock(folder, async () => {
      // The parent runs as long as this test does.
      writeFileSync(join(folder, 'install.lock'), String(process.ppid));
      await expect(withInstallLock(folder, async () => 1)).rejects.toThrow(`process ${process.ppid} is installing`);
    });
    const ended = execaSync(process.execPath, ['-p', 'process.pid']).stdout;
    writeFileSync(join(folder, 'install.lock'), ended);
    expect(await withInstallLock(folder, async () => 2)).toBe(2);
  });
});

describe('pipe backend info', () => {
  it('name the backends and the one that is taken', async () => {
    const info = JSON.parse(await pipe(['backend', 'info'], true)) as { automatic: string; backends: { name: string; identity: string }[] };
    expect(info.backends.map(({ name }) => name)).toEqual(['tensorflow', 'wasm', 'cpu']);
    expect(info.backends.map(({ identity }) => identity)).toContain(info.automatic);
    expect(await pipe(['backend', 'info'])).toContain(`* ${info.automatic.split('-')[0]}`);
  });

  it('times a backend', async () => {
    const result = JSON.parse(await pipe(['backend', 'bench', '--backend', 'wasm', '--size', 'd16l1', '--batch', '8', '--steps', '2'], true)) as Record<string, number>;
    expect(result).toMatchObject({ size: 'd16l1', batch: 8, threads: 1, device: 'cpu' });
    expect(result['pairs_per_second']).toBeGreaterThan(0);
    await expect(pipe(['backend', 'bench', '--batch', 'many'])).rejects.toThrow('--batch many is not a whole number from 1');
  });
});
