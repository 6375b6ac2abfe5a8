import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

it('the decoder that is kept in jpeg-wasm.ts is what assembly/jpeg compiles to', () => {
  const program = fileURLToPath(new URL('../../assembly/build.mjs', import.meta.url));
  expect(execFileSync(process.execPath, [program, '--check'], { encoding: 'utf8' })).toBe('');
});
