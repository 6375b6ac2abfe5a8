import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { backendsFolder, nativeFolders, readReady, readyFileName } from '../nn/native-install.ts';
import type { ReadyFile } from '../nn/native-install.ts';
import { holdStderrFile } from '../nn/load-addon.ts';
import { findNvidia } from '../nn/nvidia.ts';
import { CommandError } from './command.ts';
import { holdStderrSource } from './hold-stderr.ts';
import { withInstallLock } from './install-lock.ts';
import { addonPatches, addonSource, headersSource, tensorFlowVersion, wheelsFor } from './native-sources.ts';
import type { Device, NpmSource, Wheels } from './native-sources.ts';

export interface InstallOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Told each step in one line. */
  readonly say: (line: string) => void;
  /** Make it anew even if it is there. */
  readonly force: boolean;
  /** For NVIDIA's graphics processors, with CUDA's libraries. */
  readonly device?: Device;
}

export const nativeFolder = (env: NodeJS.ProcessEnv, device: Device = 'cpu'): string =>
  join(backendsFolder(env), `tensorflow-${tensorFlowVersion}-${device}`);

/**
 * Installs native TensorFlow from the npm and Python registries alone and gives its folder. Parts that are already there
 * are kept, so an interrupted installation goes on where it stopped; the ready file is written last.
 * @throws CommandError with exit code 3 and the mending command when the machine lacks something.
 */
export async function installNative({ env, say, force, device = 'cpu' }: InstallOptions): Promise<string> {
  const folder = nativeFolder(env, device);
  if (!force && readReady(folder) !== null) {
    if (!existsSync(join(folder, holdStderrFile))) await addHoldStderr(folder, { env, say });
    say(`TensorFlow ${tensorFlowVersion} is already installed in ${folder}`);
    return folder;
  }
  const wheels = wheelsFor(process.platform, process.arch, device);
  if (wheels === null) {
    throw new CommandError(
      `there is no TensorFlow wheel pinned for ${process.platform} ${process.arch}`,
      3,
      'the wasm backend works everywhere: --backend wasm',
    );
  }
  const compiler = await checkTools(env);
  if (device === 'gpu') checkDriver(env, say);
  await mkdir(folder, { recursive: true });
  await checkDisk(folder, wheels.neededBytes);
  return withInstallLock(folder, async () => {
    if (force) await removeParts(folder);
    const python = join(folder, 'python');
    if (!existsSync(python)) {
      const size = wheels.downloadBytes < 1e9 ? `${wheels.downloadBytes / 1e6} MB` : `${wheels.downloadBytes / 1e9} GB`;
      const others = wheels.files.length === 1 ? '' : ` and ${wheels.files.length - 1} of CUDA's packages`;
      say(`fetching ${wheels.files[0]![0]}${others} with pip (${size}) …`);
      await installWheels(python, wheels, env);
    }
    for (const source of [addonSource, headersSource]) {
      const target = join(folder, source.name.split('/').at(-1)!);
      if (existsSync(target)) continue;
      say(`fetching ${source.name} ${source.version} with npm …`);
      await fetchPackage(source, target, env);
    }
    const binding = 'tfjs_binding.node';
    say('compiling the addon …');
    await compile(folder, compiler, binding, env);
    await compileHoldStderr(folder, compiler, env);
    await checkLoads(join(folder, binding), env);
    const ready: ReadyFile = { format: 1, tensorflow: tensorFlowVersion, device, binding };
    await writeFile(join(folder, `${readyFileName}.part`), `${JSON.stringify(ready)}\n`);
    await rename(join(folder, `${readyFileName}.part`), join(folder, readyFileName));
    say(`TensorFlow ${tensorFlowVersion} is installed in ${folder}`);
    return folder;
  });
}

/** Runs a tool; its last lines of output become the error's cause. */
async function run(command: readonly string[], env: NodeJS.ProcessEnv, options: { cwd?: string } = {}): Promise<string> {
  const [file, ...args] = command;
  const { stdout } = await execa(file!, args, { env, extendEnv: false, ...options });
  return stdout;
}

async function checkTools(env: NodeJS.ProcessEnv): Promise<string> {
  const compiler = env['CXX'] || 'g++';
  const tools = [
    { command: ['python3', '--version'], what: 'Python 3', mend: 'apt-get install python3 python3-pip' },
    { command: ['python3', '-m', 'pip', '--version'], what: 'pip', mend: 'apt-get install python3-pip' },
    { command: [compiler, '--version'], what: `a C++ compiler (${compiler})`, mend: 'apt-get install g++' },
    { command: ['npm', '--version'], what: 'npm', mend: 'install Node with its npm' },
    { command: ['tar', '--version'], what: 'tar', mend: 'apt-get install tar' },
  ];
  for (const { command, what, mend } of tools) {
    try {
      await run(command, env);
    } catch (cause) {
      throw new CommandError(`${what} is needed to install native TensorFlow, and \`${command.join(' ')}\` does not work`, 3, mend, cause);
    }
  }
  return compiler;
}

/** @throws CommandError where there is no driver that this CUDA works with. */
function checkDriver(env: NodeJS.ProcessEnv, say: (line: string) => void): void {
  const found = findNvidia(env);
  if ('problem' in found) throw new CommandError(found.problem, 3, `${found.mend}; without a graphics processor: pipe backend install`);
  say(`driver ${found.driver}: ${found.names.join('; ')}`);
}

/** @throws CommandError where the folder's disk has less than that free. */
export async function checkDisk(folder: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize < neededBytes) {
    const free = ((bavail * bsize) / 1e9).toFixed(1);
    throw new CommandError(
      `native TensorFlow needs ${neededBytes / 1e9} GB, and ${folder} has ${free} GB free`,
      3,
      'free some space, or choose another disk: PIPE_BACKENDS=/path pipe backend install',
    );
  }
}

async function installWheels(target: string, { files, select }: Wheels, env: NodeJS.ProcessEnv): Promise<void> {
  const part = `${target}.part`;
  const list = `${target}.requirements.txt`;
  await rm(part, { recursive: true, force: true });
  await writeFile(list, files.map(([requirement, sha256]) => `${requirement} --hash=sha256:${sha256}\n`).join(''));
  const pip = ['python3', '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile', '--no-deps'];
  try {
    await run([...pip, '--only-binary=:all:', '--require-hashes', ...select, '--target', part, '--requirement', list], env);
  } catch (cause) {
    throw failure(
      'pip could not fetch TensorFlow',
      cause,
      noWheel(cause)
        ? 'the index has no such wheel for this machine; look at `python3 -m pip config list`, or do without: --backend wasm'
        : 'check the network and `python3 -m pip config list`, then: pipe backend install',
    );
  }
  await rm(list, { force: true });
  await rename(part, target);
}

async function fetchPackage({ name, version, integrity, file }: NpmSource, target: string, env: NodeJS.ProcessEnv): Promise<void> {
  const part = `${target}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  try {
    await run(['npm', 'pack', '--silent', `${name}@${version}`, '--pack-destination', part], env, { cwd: part });
  } catch (cause) {
    throw failure(`npm could not fetch ${name}`, cause, 'check the network and `npm config get registry`, then: pipe backend install');
  }
  const archive = join(part, file);
  const digest = `sha512-${createHash('sha512').update(await readFile(archive)).digest('base64')}`;
  if (digest !== integrity) {
    throw new CommandError(`${name} ${version} from the registry is not the package that was pinned`, 1, 'check `npm config get registry`');
  }
  await run(['tar', '-xzf', archive, '-C', part, '--strip-components=1'], env);
  await rm(archive);
  await rename(part, target);
}

async function compile(folder: string, compiler: string, binding: string, env: NodeJS.ProcessEnv): Promise<void> {
  const addon = join(folder, 'tfjs-node');
  for (const { file, from, to } of addonPatches) {
    const path = join(addon, file);
    const text = await readFile(path, 'utf8');
    if (text.includes(to)) continue;
    if (text.split(from).length !== 2) throw new CommandError(`${path} does not hold "${from}" once`, 1, 'pipe backend remove, then install again');
    await writeFile(path, text.replace(from, () => to));
  }
  const tensorflow = join(folder, 'python', 'tensorflow');
  const part = `${binding}.part`;
  const includes = [join(folder, 'node-api-headers', 'include'), addon, join(tensorflow, 'include')].flatMap((path) => ['-I', path]);
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(addon, 'binding', file));
  const libraries = ['-L', tensorflow, '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'];
  const flags = ['-O2', '-std=c++17', '-shared', '-fPIC', '-w', '-DNAPI_VERSION=8'];
  // Relative to the addon, so that the folder may be moved.
  const path = '-Wl,-rpath,$ORIGIN/python/tensorflow';
  try {
    await run([compiler, ...flags, ...includes, ...sources, '-o', join(folder, part), ...libraries, path], env);
  } catch (cause) {
    throw failure('the addon does not compile', cause, 'use g++ 9 or newer (CXX=g++-12), or: pipe backend remove && pipe backend install');
  }
  await rename(join(folder, part), join(folder, binding));
}

/** For installations made without it, which work as they are. */
async function addHoldStderr(folder: string, { env, say }: Pick<InstallOptions, 'env' | 'say'>): Promise<void> {
  try {
    await withInstallLock(folder, async () => compileHoldStderr(folder, await checkTools(env), env));
  } catch (error) {
    say(`TensorFlow goes on to write notes to stderr when it is loaded: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function compileHoldStderr(folder: string, compiler: string, env: NodeJS.ProcessEnv): Promise<void> {
  const source = join(folder, 'hold_stderr.cc');
  const part = join(folder, `${holdStderrFile}.part`);
  await writeFile(source, holdStderrSource);
  const flags = ['-O2', '-std=c++17', '-shared', '-fPIC', '-w', '-DNAPI_VERSION=8', '-I', join(folder, 'node-api-headers', 'include')];
  try {
    await run([compiler, ...flags, source, '-o', part], env);
  } catch (cause) {
    throw failure('the addon that holds stderr back does not compile', cause, 'use g++ 9 or newer (CXX=g++-12), or: pipe backend remove && pipe backend install');
  }
  await rename(part, join(folder, holdStderrFile));
}

/** Loads it in a process of its own: a library that does not fit this machine must not take this one down. */
async function checkLoads(binding: string, env: NodeJS.ProcessEnv): Promise<void> {
  const script = 'const m = { exports: {} }; process.dlopen(m, process.argv[1]); process.stdout.write(m.exports.TF_Version)';
  try {
    const version = await run([process.execPath, '-e', script, binding], env);
    if (version !== tensorFlowVersion) throw new Error(`it says that it is TensorFlow ${version}`);
  } catch (cause) {
    throw failure('what was built does not load', cause, 'the wheel needs glibc 2.27 or newer and AVX; --backend wasm works without');
  }
}

const stderrOf = (cause: unknown): string => (typeof cause === 'object' && cause !== null && 'stderr' in cause ? String(cause.stderr) : '');
const noWheel = (cause: unknown): boolean => /No matching distribution|not a supported wheel/.test(stderrOf(cause));

/** A failure with the tool's last words. */
function failure(what: string, cause: unknown, hint: string): CommandError {
  const stderr = stderrOf(cause);
  const last = stderr.trim().split('\n').slice(-3).join('\n');
  return new CommandError(last === '' ? what : `${what}:\n${last}`, 3, hint, cause);
}

async function removeParts(folder: string): Promise<void> {
  for (const name of [readyFileName, 'python', 'tfjs-node', 'node-api-headers', 'tfjs_binding.node', holdStderrFile]) {
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Removes what installNative made, of every version and device; gives the folders. */
export async function removeNative(env: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const folders = nativeFolders(env);
  for (const folder of folders) {
    // First the ready file: a removal that is cut short must not leave something that looks whole.
    await rm(join(folder, readyFileName), { force: true });
    await rm(folder, { recursive: true, force: true });
  }
  return folders;
}
