import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { holdStderrFile } from './load-addon.ts';

/** A native TensorFlow that can be loaded: the tfjs-node addon, linked against TensorFlow's C library. */
export interface NativeInstall {
  /** The addon, `tfjs_binding.node`. */
  readonly binding: string;
  /** TensorFlow's version. */
  readonly version: string;
  readonly device: 'cpu' | 'gpu';
  /** Where it comes from, for people. */
  readonly origin: string;
}

/** Written last by the installer: a folder without it is unfinished. */
export interface ReadyFile {
  readonly format: 1;
  readonly tensorflow: string;
  readonly device: 'cpu' | 'gpu';
  /** Relative to the folder. */
  readonly binding: string;
}

export const readyFileName = 'ready.json';

/** Where backends are installed: PIPE_BACKENDS, else `pipe/backends` of XDG_CACHE_HOME or `~/.cache`. */
export function backendsFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env['PIPE_BACKENDS']) return resolve(env['PIPE_BACKENDS']);
  return join(env['XDG_CACHE_HOME'] ? resolve(env['XDG_CACHE_HOME']) : join(homedir(), '.cache'), 'pipe', 'backends');
}

/** The ready file of an installed backend, or null if the folder is missing, unfinished or damaged. */
export function readReady(folder: string): ReadyFile | null {
  try {
    const ready = JSON.parse(readFileSync(join(folder, readyFileName), 'utf8')) as ReadyFile;
    return ready.format === 1 && existsSync(join(folder, ready.binding)) ? ready : null;
  } catch {
    return null;
  }
}

/**
 * The native TensorFlow to use: one that `pipe backend install` made (the newest), else a tfjs-node package whose own
 * install script could fetch its library. Reads a few small files and loads nothing. Null if there is none.
 */
export function findNative(env: NodeJS.ProcessEnv = process.env): NativeInstall | null {
  return findInstalled(env)[0] ?? packagedNative();
}

/** Those that `pipe backend install` made, the one to use first. */
export function findInstalled(env: NodeJS.ProcessEnv): readonly NativeInstall[] {
  return nativeFolders(env)
    .flatMap((folder): NativeInstall[] => {
      const ready = readReady(folder);
      if (ready === null) return [];
      return [{ binding: join(folder, ready.binding), version: ready.tensorflow, device: ready.device, origin: folder }];
    })
    // Who has installed the one for graphics processors wants it; without one it computes on the processor.
    .sort((a, b) => compareVersions(b.version, a.version) || b.device.localeCompare(a.device));
}

/** Folders of installations, finished or not. */
export function nativeFolders(env: NodeJS.ProcessEnv): readonly string[] {
  const root = backendsFolder(env);
  return readFolder(root)
    .filter((name) => /^tensorflow-[\d.]+-(cpu|gpu)$/.test(name))
    .map((name) => join(root, name));
}

/** The command that makes an installation for a device. */
export const installCommandOf = (device: 'cpu' | 'gpu'): string => `pipe backend install${device === 'gpu' ? ' --gpu' : ''}`;

/** What the addon loads of an installation made by `pipe backend install`: place in its folder → path. */
export function portableFiles({ origin, binding }: NativeInstall): ReadonlyMap<string, string> {
  const tensorflow = join(origin, 'python', 'tensorflow');
  const libraries = readFolder(tensorflow).filter((name) => /^libtensorflow.*\.so\.2$/.test(name)).map((name) => join(tensorflow, name));
  // CUDA's libraries and its assembler, in wheels of their own beside it; headers and Python's files are not needed.
  const cuda = filesBelow(join(origin, 'python', 'nvidia')).filter((path) => !/\/(include|__pycache__)\/|\.(py|h|hpp|a)$/.test(path));
  const quiet = [join(origin, holdStderrFile)].filter(existsSync);
  return new Map([join(origin, readyFileName), binding, ...quiet, ...libraries, ...cuda].map((path) => [relative(origin, path), path]));
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

function packagedNative(): NativeInstall | null {
  const require = createRequire(import.meta.url);
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    let folder: string;
    try {
      folder = dirname(require.resolve(`${name}/package.json`));
    } catch {
      continue;
    }
    const binding = join(folder, 'lib', 'napi-v8', 'tfjs_binding.node');
    const library = join(folder, 'deps', 'lib');
    if (!existsSync(binding) || !existsSync(library)) continue;
    // The package's own library carries its version in its file name, libtensorflow.so.2.9.1.
    const version = readFolder(library).flatMap((file) => /^libtensorflow\.so\.(\d+\.\d+\.\d+)$/.exec(file)?.[1] ?? [])[0];
    return { binding, version: version ?? '2.9.1', device: name.endsWith('-gpu') ? 'gpu' : 'cpu', origin: name };
  }
  return null;
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split('.').map(Number), b.split('.').map(Number)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
