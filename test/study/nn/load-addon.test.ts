import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execaSync } from 'execa';
import { describe, expect, it } from 'vitest';
import { holdStderrFile, withoutInformation } from '../../../src/study/nn/load-addon.ts';
import { findNative } from '../../../src/study/nn/native-install.ts';
import { makeProject } from '../../rig/pipe.ts';

const native = findNative();
const holder = native === null ? '' : join(dirname(native.binding), holdStderrFile);

describe('what TensorFlow writes while it is loaded', () => {
  const lines = {
    preamble: 'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR',
    information: 'I0000 00:00:1795631375.375943   20586 port.cc:153] oneDNN custom operations are on. You may see slightly different numerical results',
    instructions: 'I0000 00:00:1795632275.896787   12113 cpu_feature_guard.cc:227] This TensorFlow binary is optimized to use available CPU instructions',
    goesOn: 'To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the appropriate compiler flags.',
    warning: 'W0000 00:00:1795632275.896787   12113 op.cc:1] TF_ENABLE_ONEDNN_OPTS is not set to either 0 or 1',
    error: 'E0000 00:00:1795632275.896787   12113 cuda.cc:7] failed call to cuInit',
    other: 'symbol lookup error: libcuda.so.1',
  };
  it('loses its lines of information, and keeps warnings, errors and whatever else there is', () => {
    expect(withoutInformation(Object.values(lines).join('\n'))).toBe([lines.warning, lines.error, lines.other].join('\n'));
    expect(withoutInformation(`${lines.preamble}\n${lines.information}\n`)).toBe('');
    expect(withoutInformation('')).toBe('');
  });

  it.skipIf(!existsSync(holder))('leaves stderr clean but for warnings (needs native TensorFlow)', () => {
    const project = makeProject({});
    try {
      const bench = ['backend', 'bench', '--backend', 'tensorflow', '--size', 'd16l1', '--batch', '8', '--steps', '1', '--threads', '1'];
      expect(project.pipe(bench)).toMatchObject({ code: 0, stderr: '' });
      // What the settings complain of is not information.
      expect(project.pipe(bench, { TF_ENABLE_ONEDNN_OPTS: 'perhaps', TF_CPP_MIN_LOG_LEVEL: '1' }).stderr).toMatch(/^W.*TF_ENABLE_ONEDNN_OPTS/m);
    } finally {
      project.remove();
    }
  });
});

describe.skipIf(!existsSync(holder))('holding stderr back (needs native TensorFlow)', () => {
  const child = (script: string) =>
    execaSync(process.execPath, ['-e', `const m = { exports: {} }; process.dlopen(m, process.argv[1]); const { hold, release } = m.exports; const say = text => require('fs').writeSync(2, text); ${script}`, holder], {
      reject: false,
    });

  it('gives it back as text, once, and lets all through afterwards', () => {
    const { stdout, stderr } = child(`say('before '); hold(); hold(); say('meanwhile'); const text = release(); say('after'); console.log(JSON.stringify([text, release()]))`);
    expect(stderr).toBe('before after');
    expect(JSON.parse(stdout)).toEqual(['meanwhile', '']);
  });

  it.each(['SIGABRT', 'SIGSEGV', 'SIGILL'])('writes it out at a crash by %s', (signal) => {
    const { stderr, signal: ended } = child(`hold(); say('the last words'); process.kill(process.pid, '${signal}'); for (;;);`);
    expect(stderr).toContain('the last words');
    expect(ended).toBe(signal);
  });
});
