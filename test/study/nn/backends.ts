import type { Backend } from '../../../src/study/nn/backend.ts';
import { openBackend } from '../../../src/study/nn/choose-backend.ts';
import { findNative } from '../../../src/study/nn/native-install.ts';

/** Whether native TensorFlow is installed on this machine; tests that need it are skipped by name if not. */
export const hasNative = findNative() !== null;

export const openTestBackend = (name: 'tensorflow' | 'wasm' | 'cpu'): Promise<Backend> =>
  openBackend(name, {
    threads: 2,
    note: (text) => {
      throw new Error(`a backend demanded by name is not passed over: ${text}`);
    },
  });

/** wasm, and native TensorFlow where it is installed. */
export async function openTestBackends(): Promise<readonly Backend[]> {
  const wasm = await openTestBackend('wasm');
  return hasNative ? [wasm, await openTestBackend('tensorflow')] : [wasm];
}
