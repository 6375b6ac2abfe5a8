import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { backendIdentity, describeBackends, openBackend } from '../../../src/study/nn/choose-backend.ts';
import { backendsFolder, readyFileName } from '../../../src/study/nn/native-install.ts';

const empty = { PIPE_BACKENDS: mkdtempSync(join(tmpdir(), 'backends-')) };

/** A folder that looks like an installation whose library is damaged. */
function damaged(): NodeJS.ProcessEnv {
  const root = mkdtempSync(join(tmpdir(), 'backends-'));
  const folder = join(root, 'tensorflow-2.21.0-cpu');
  mkdirSync(folder);
  writeFileSync(join(folder, 'tfjs_binding.node'), 'not a library');
  writeFileSync(join(folder, readyFileName), JSON.stringify({ format: 1, tensorflow: '2.21.0', device: 'cpu', binding: 'tfjs_binding.node' }));
  return { PIPE_BACKENDS: root };
}

const attempt = async (choice: string, env: NodeJS.ProcessEnv): Promise<{ notes: string[]; result: unknown }> => {
  const notes: string[] = [];
  const result: unknown = await openBackend(choice, { threads: 1, note: (text) => notes.push(text), env }).catch((error: unknown) => error);
  return { notes, result };
};

describe('choosing a backend', () => {
  it('takes wasm where TensorFlow is not installed, and says so in one line', async () => {
    expect(backendIdentity('auto', empty)).toMatch(/^wasm-4\.\d+\.\d+$/);
    const { notes, result } = await attempt('auto', empty);
    expect(result).toMatchObject({ name: 'wasm', label: expect.stringMatching(/^wasm 4\./), threads: 1, device: 'cpu' });
    expect(notes).toEqual(['using wasm: native TensorFlow is not installed (pipe backend install)']);
  });

  it('refuses a demanded backend that is missing, with the command that mends it', async () => {
    const { result } = await attempt('tensorflow', empty);
    expect(result).toMatchObject({ name: 'BackendError', exitCode: 3, hint: 'install it with: pipe backend install' });
    expect(() => backendIdentity('tensorflow', empty)).toThrow(/tensorflow is not installed/);
  });

  it('refuses names that no backend has', async () => {
    expect((await attempt('webgl', empty)).result).toMatchObject({ exitCode: 2, message: 'there is no backend "webgl"' });
  });

  it('passes over one that does not start, unless it was demanded', async () => {
    const env = damaged();
    expect(backendIdentity('auto', env)).toBe('tensorflow-2.21.0-cpu');
    const { notes, result } = await attempt('auto', env);
    expect(result).toMatchObject({ name: 'wasm' });
    expect(notes).toEqual([expect.stringMatching(/^passing over tensorflow, which does not start: .*tfjs_binding\.node/)]);
    const demanded = await attempt('tensorflow', env);
    expect(demanded.result).toMatchObject({ exitCode: 3, hint: 'make it anew: pipe backend remove && pipe backend install' });
  });

  it('does not take an installation that was not finished, and says which command finishes it', async () => {
    const root = mkdtempSync(join(tmpdir(), 'backends-'));
    const folder = join(root, 'tensorflow-2.21.0-gpu');
    mkdirSync(folder);
    writeFileSync(join(folder, 'tfjs_binding.node'), '');
    const env = { PIPE_BACKENDS: root };
    expect(describeBackends(env)[0]).toMatchObject({ available: false, detail: `not finished in ${folder}: pipe backend install --gpu` });
    const { notes, result } = await attempt('auto', env);
    expect(result).toMatchObject({ name: 'wasm' });
    expect(notes).toEqual([`using wasm: native TensorFlow is not finished in ${folder} (pipe backend install --gpu)`]);
    expect((await attempt('tensorflow', env)).result).toMatchObject({ exitCode: 3, hint: 'install it with: pipe backend install --gpu' });
  });

  it('prefers the newest TensorFlow, and of one version the one for graphics processors', () => {
    const root = mkdtempSync(join(tmpdir(), 'backends-'));
    const put = (version: string, device: 'cpu' | 'gpu'): void => {
      const folder = join(root, `tensorflow-${version}-${device}`);
      mkdirSync(folder);
      writeFileSync(join(folder, 'tfjs_binding.node'), '');
      writeFileSync(join(folder, readyFileName), JSON.stringify({ format: 1, tensorflow: version, device, binding: 'tfjs_binding.node' }));
    };
    const taken = (): string => describeBackends({ PIPE_BACKENDS: root })[0]!.identity;
    put('2.9.1', 'gpu');
    put('2.21.0', 'cpu');
    expect(taken()).toBe('tensorflow-2.21.0-cpu');
    put('2.21.0', 'gpu');
    expect(taken()).toBe('tensorflow-2.21.0-gpu');
  });

  it('keeps backends where it is told to', () => {
    expect(backendsFolder({ PIPE_BACKENDS: '/a/b', XDG_CACHE_HOME: '/c' })).toBe('/a/b');
    expect(backendsFolder({ XDG_CACHE_HOME: '/c' })).toBe('/c/pipe/backends');
    expect(backendsFolder({})).toMatch(/\.cache\/pipe\/backends$/);
  });
});
