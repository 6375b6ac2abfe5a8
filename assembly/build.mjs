/**
 * `npm run build:wasm`: compiles assembly/jpeg with AssemblyScript into src/study/data/jpeg-wasm.ts, where a stage's bundle and its
 * key find it. Needed after a change there only; with `--check` it says whether it was done, which the slow suite asks.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, '..', 'src', 'study', 'data', 'jpeg-wasm.ts');

/** The text of jpeg-wasm.ts as the sources are. */
async function compiled() {
  const { default: asc } = await import('assemblyscript/asc');
  let binary = null;
  const { error, stderr } = await asc.main(
    [join(here, 'jpeg', 'decode.ts'), '--baseDir', here, '--outFile', 'jpeg.wasm', '-O3', '--converge', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--enable', 'bulk-memory', '--use', 'abort='],
    {
      writeFile: (name, contents) => {
        if (name === 'jpeg.wasm') binary = contents;
      },
    },
  );
  if (error !== null || binary === null) throw new Error(`assembly/jpeg does not compile:\n${stderr}`);
  const lines = Buffer.from(binary).toString('base64').match(/.{1,140}/g) ?? [];
  return `/** assembly/jpeg, made by \`npm run build:wasm\`. */\nexport const jpegWasm =\n${lines.map(line => `  '${line}'`).join(' +\n')};\n`;
}

const text = await compiled();
if (!argv.includes('--check')) writeFileSync(target, text);
else if (readFileSync(target, 'utf8') !== text) {
  console.error('src/study/data/jpeg-wasm.ts is not what assembly/jpeg compiles to: npm run build:wasm');
  process.exitCode = 1;
}
