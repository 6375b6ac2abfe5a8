import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Backend, BackendChoice, BackendName } from './backend.ts';
import { findInstalled, findNative, installCommandOf, nativeFolders, portableFiles } from './native-install.ts';

/** A backend that was asked for by name and is not there, or a name that no backend has. */
export class BackendError extends Error {
  override readonly name = 'BackendError';
  /** 2: the name is wrong. 3: this machine lacks something. */
  readonly exitCode: 2 | 3;
  readonly hint: string;

  constructor(message: string, hint: string, exitCode: 2 | 3, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
    this.exitCode = exitCode;
  }
}

export interface BackendDescription {
  readonly name: BackendName;
  readonly available: boolean;
  /** For keys, for example `wasm-4.22.0` or `tensorflow-2.21.0-cpu`; without a version where it is not installed. */
  readonly identity: string;
  /** Where it comes from, or what would install it. */
  readonly detail: string;
}

const installCommand = installCommandOf('cpu');

/** The backends in the order in which `auto` takes them. Loads no tensors. */
export function describeBackends(env: NodeJS.ProcessEnv = process.env): readonly BackendDescription[] {
  const native = findNative(env);
  const half = nativeFolders(env)[0];
  const missing = half === undefined ? `not installed: ${installCommand}` : `not finished in ${half}: ${installCommandOf(half.endsWith('-gpu') ? 'gpu' : 'cpu')}`;
  return [
    native === null
      ? { name: 'tensorflow', available: false, identity: 'tensorflow', detail: missing }
      : {
          name: 'tensorflow',
          available: true,
          identity: `tensorflow-${native.version}-${native.device}`,
          detail: native.origin,
        },
    packageBackend('wasm', '@tensorflow/tfjs-backend-wasm'),
    packageBackend('cpu', '@tensorflow/tfjs-backend-cpu'),
  ];
}

function packageBackend(name: 'wasm' | 'cpu', packageName: string): BackendDescription {
  const require = createRequire(import.meta.url);
  try {
    const path = require.resolve(`${packageName}/package.json`);
    const { version } = JSON.parse(readFileSync(path, 'utf8')) as { version: string };
    return { name, available: true, identity: `${name}-${version}`, detail: packageName };
  } catch {
    return { name, available: false, identity: name, detail: `not installed: npm install ${packageName}` };
  }
}

/** The choice as a known name. @throws BackendError for any other text. */
export function parseBackendChoice(choice: string): BackendChoice {
  if (choice === 'auto' || choice === 'tensorflow' || choice === 'wasm' || choice === 'cpu') return choice;
  throw new BackendError(`there is no backend "${choice}"`, 'choose one of auto, tensorflow, wasm, cpu', 2);
}

/**
 * What a choice means on this machine now, for keys: `auto` is the first that is there.
 * @throws BackendError when a backend demanded by name is missing.
 */
export const backendIdentity = (choice: string, env: NodeJS.ProcessEnv = process.env): string => candidates(choice, env)[0]!.identity;

/**
 * The native backend of a choice as files that work on another machine of this kind; null when the choice means no native
 * one, or one whose libraries lie in another package. `gpus`: whether that machine has graphics processors; the backend for
 * them is taken where there is one here.
 */
export function portableBackend(choice: string, gpus: boolean, env: NodeJS.ProcessEnv = process.env): PortableBackend | null {
  const wanted = parseBackendChoice(choice);
  if (wanted !== 'auto' && wanted !== 'tensorflow') return null;
  const found = findInstalled(env);
  const native = found.find(({ device }) => device === (gpus ? 'gpu' : 'cpu')) ?? found[0];
  if (native === undefined) return null;
  return { identity: `tensorflow-${native.version}-${native.device}`, device: native.device, files: portableFiles(native) };
}

export interface PortableBackend {
  readonly identity: string;
  readonly device: 'cpu' | 'gpu';
  /** Place in the backend's folder → path here. */
  readonly files: ReadonlyMap<string, string>;
}

/** What can be tried for a choice, best first; at least one. */
function candidates(choice: string, env: NodeJS.ProcessEnv): readonly BackendDescription[] {
  const wanted = parseBackendChoice(choice);
  const all = describeBackends(env);
  const there = all.filter(({ name, available }) => available && (wanted === 'auto' || name === wanted));
  if (there.length > 0) return there;
  if (wanted === 'auto') throw new BackendError('no tensor backend is installed', 'npm install', 3);
  const { detail } = all.find(({ name }) => name === wanted)!;
  const [state, command] = detail.split(': ') as [string, string];
  throw new BackendError(`the backend ${wanted} is ${state}`, `install it with: ${command}`, 3);
}

export interface OpenOptions {
  /** Threads that a backend which can use several may use. */
  readonly threads: number;
  /** Ids of the graphics processors that may be used; none keeps native TensorFlow on the processor. */
  readonly gpus?: readonly string[];
  /** Told in one line why a better backend was passed over. */
  readonly note: (text: string) => void;
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Opens the backend for a choice: the named one, or for `auto` the first that starts.
 * @throws BackendError when a backend demanded by name is missing or does not start.
 */
export async function openBackend(choice: string, { threads, gpus = [], note, env = process.env }: OpenOptions): Promise<Backend> {
  const wanted = parseBackendChoice(choice);
  const list = candidates(wanted, env);
  if (wanted === 'auto' && list[0]!.name !== 'tensorflow') {
    const { detail } = describeBackends(env)[0]!;
    note(`using ${list[0]!.name}: native TensorFlow is ${detail.replace(/: (?=pipe )/, ' (')})`);
  }
  let failure: unknown;
  for (const { name, detail } of list) {
    try {
      return await open(name, { threads, gpus, note, env });
    } catch (error) {
      failure = error;
      const why = error instanceof Error ? error.message.split('\n')[0]! : String(error);
      if (wanted !== 'auto') {
        const remake = installCommandOf(findNative(env)?.device ?? 'cpu');
        const hint = name === 'tensorflow' ? `make it anew: pipe backend remove && ${remake}` : `reinstall ${detail}: npm ci`;
        throw new BackendError(`the backend ${name} does not start: ${why}`, hint, 3, error);
      }
      note(`passing over ${name}, which does not start: ${why}`);
    }
  }
  throw new BackendError('no tensor backend starts', 'npm ci', 3, failure);
}

async function open(
  name: BackendName,
  options: { threads: number; gpus: readonly string[]; note: (text: string) => void; env: NodeJS.ProcessEnv },
): Promise<Backend> {
  if (name !== 'tensorflow') {
    const { openEagerBackend } = await import('./backend-eager.ts');
    return openEagerBackend(name);
  }
  const native = findNative(options.env);
  if (native === null) throw new Error('it is no longer installed');
  const { openNativeBackend } = await import('./backend-native.ts');
  return openNativeBackend(native, options);
}
