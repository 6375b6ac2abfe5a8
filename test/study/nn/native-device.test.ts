/** In a file of its own: a process loads one TensorFlow only, and here it is not what its folder says. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openBackend } from '../../../src/study/nn/choose-backend.ts';
import { findNative, readyFileName } from '../../../src/study/nn/native-install.ts';

const native = findNative();

/** A folder whose ready file points at the TensorFlow of this machine under another version or device. */
function installation(version: string, device: 'cpu' | 'gpu'): NodeJS.ProcessEnv {
  const root = mkdtempSync(join(tmpdir(), 'backends-'));
  const folder = join(root, `tensorflow-${version}-${device}`);
  mkdirSync(folder);
  const ready = { format: 1, tensorflow: version, device, binding: join('..', '..', '..', '..', '..', '..', native!.binding) };
  writeFileSync(join(folder, readyFileName), JSON.stringify(ready));
  return { PIPE_BACKENDS: root };
}

/** A PATH with an nvidia-smi that answers so. */
function withDriver(env: NodeJS.ProcessEnv, answer: string): NodeJS.ProcessEnv {
  const path = mkdtempSync(join(tmpdir(), 'path-'));
  writeFileSync(join(path, 'nvidia-smi'), `#!/bin/sh\necho "${answer}"\n`, { mode: 0o755 });
  return { ...env, PATH: path };
}

it.skipIf(native === null)('names a library of the wrong version, and why TensorFlow is not on the GPU that it was given (needs native TensorFlow)', async () => {
  const version = native!.version;
  const open = async (choice: string, env: NodeJS.ProcessEnv, gpus: readonly string[] = ['0']) => {
    const notes: string[] = [];
    const result: unknown = await openBackend(choice, { threads: 1, gpus, note: (text) => notes.push(text), env }).catch((error: unknown) => error);
    return { notes, result };
  };
  const old = installation('2.9.1', 'cpu');
  const demanded = await open('tensorflow', old);
  expect(demanded.result).toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(new RegExp(`^the backend tensorflow does not start: .* was made with TensorFlow 2\\.9\\.1, but the library there is ${version}$`)) as string,
    hint: 'make it anew: pipe backend remove && pipe backend install',
  });
  const automatic = await open('auto', old);
  expect(automatic.result).toMatchObject({ name: 'wasm' });
  expect(automatic.notes).toEqual([expect.stringMatching(/^passing over tensorflow, which does not start: .* was made with TensorFlow 2\.9\.1/)]);

  const plain = await open('tensorflow', installation(version, 'cpu'));
  expect(plain.result).toMatchObject({ name: 'tensorflow', device: 'cpu' });
  expect(plain.notes).toEqual(['computing on the processor, not on GPU 0: this TensorFlow is built without CUDA (pipe backend install --gpu)']);
  const cuda = installation(version, 'gpu');
  const driverless = { ...cuda, PATH: '/nowhere' };
  expect((await open('tensorflow', driverless)).notes).toEqual([
    expect.stringMatching(/^computing on the processor, not on GPU 0: there is no NVIDIA driver: `nvidia-smi` is not on PATH \(apt-get install nvidia-driver-/),
  ]);
  expect((await open('tensorflow', withDriver(cuda, '470.82.01, Tesla T4'))).notes).toEqual([expect.stringMatching(/the NVIDIA driver 470\.82\.01 is older than 525/)]);
  expect((await open('tensorflow', withDriver(cuda, '570.172.08, NVIDIA H100'))).notes).toEqual([
    'computing on the processor, not on GPU 0: TensorFlow does not find it (driver 570.172.08; TF_CPP_MIN_LOG_LEVEL=0 shows why)',
  ]);
  expect((await open('tensorflow', driverless, [])).notes).toEqual([]);
});
