/**
 * Builds the program: dist/pipe.js (the command line, heavy modules in chunks that load when they are needed),
 * dist/stage-worker.js (the process a typed stage runs in), dist/index.js and dist/stage.js (the library).
 * npm packages stay outside, but for some that are many small files. No type check here: `npm run typecheck` does that.
 */
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, transform } from 'esbuild';
import { mergeStart } from './build-start.mjs';

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, 'dist');

const entries = {
  pipe: 'src/main.ts',
  index: 'src/index.ts',
  stage: 'src/stage.ts',
};
/** Processes and threads of their own: whole files, which start sooner. */
const helpers = {
  'stage-worker': 'src/runner/run/stage-worker.ts',
  'spawn-helper': 'src/runner/run/spawn-helper.ts',
  'restore-worker': 'src/runner/shared-cache/restore-worker.ts',
  'stat-helper': 'src/runner/store/stat-helper.ts',
};
const inRoot = files => Object.entries(files).map(([out, file]) => ({ in: join(root, file), out }));
const common = { absWorkingDir: root, outdir: dist, bundle: true, format: 'esm', platform: 'node', target: 'node20.19', logLevel: 'warning', write: false };

const split = await build({
  ...common,
  entryPoints: inRoot(entries),
  splitting: true,
  metafile: true,
  plugins: [onlySomeWithin()],
  // React's development build is several times slower.
  define: { 'process.env.NODE_ENV': '"production"' },
  jsx: 'automatic',
  chunkNames: 'chunks/[name]-[hash]',
});
await shorten(split);
const program = await mergeStart({ split, dist, common, commands: ['src/runner/cli/run.ts', 'src/runner/cli/run-once.ts'], apart: ['src/stage.ts'] });
const alone = await build({ ...common, entryPoints: inRoot(helpers), packages: 'external' });

// What is sent to other hosts: whole files that need nothing beside them.
const sent = await build({
  absWorkingDir: root,
  entryPoints: [
    { in: join(root, 'src/runner/remote/agent/main.ts'), out: 'host-agent' },
    { in: join(root, 'src/runner/run/stage-worker.ts'), out: 'stage-worker' },
  ],
  outdir: join(dist, 'host'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  logLevel: 'warning',
  write: false,
});

// Packages that nearly every typed stage imports, each as one file: it loads in a fraction of the time.
const packages = await build({
  absWorkingDir: root,
  entryPoints: ['zod'].map(name => ({ in: name, out: `${name}-${versionOf(name)}` })),
  outdir: join(dist, 'packages'),
  outExtension: { '.js': '.mjs' },
  minifyWhitespace: true,
  minifySyntax: true,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  keepNames: true,
  logLevel: 'warning',
  write: false,
});

// Chunks first, then the entries that name them, each by rename: a program that starts meanwhile finds a whole build.
const outputs = [...program, ...alone.outputFiles, ...sent.outputFiles, ...packages.outputFiles].toSorted((a, b) => Number(isEntry(a.path)) - Number(isEntry(b.path)));
for (const output of outputs) {
  mkdirSync(dirname(output.path), { recursive: true });
  const temporary = `${output.path}.${process.pid}`;
  writeFileSync(temporary, output.contents);
  if (output.path === join(dist, 'pipe.js')) chmodSync(temporary, 0o755);
  renameSync(temporary, output.path);
}
removeOldChunks(new Set(outputs.map(output => output.path)));
linkProgram();

/** Commander, which every command needs, is part of the start; the rest of these of the chunks that need them: one file loads in a third of the time of two hundred. */
function onlySomeWithin() {
  const within = /^(commander|ink|react|react-reconciler|yaml|zod)(\/|$)/;
  return {
    name: 'only-some-within',
    setup(builder) {
      builder.onResolve({ filter: /^[^./]/ }, ({ path, importer, kind }) => {
        if (kind === 'entry-point') return undefined;
        const ofThese = importer.includes('/node_modules/') && !path.startsWith('node:') && path !== 'react-devtools-core';
        return ofThese || within.test(path) ? undefined : { path, external: true };
      });
    },
  };
}

/** Chunks that hold packages only, of which the schemas' and the YAML's load with every pipeline that is not known yet: half as long, they load in half the time. */
async function shorten({ outputFiles, metafile }) {
  await Promise.all(outputFiles.map(async file => {
    const sources = Object.keys(metafile.outputs[relative(root, file.path)].inputs);
    if (sources.length === 0 || !sources.every(source => source.startsWith('node_modules/'))) return;
    const { code } = await transform(file.text, { format: 'esm', target: common.target, platform: 'node', minifyWhitespace: true, minifySyntax: true });
    file.contents = new TextEncoder().encode(code);
  }));
}

function versionOf(name) {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
}

function isEntry(path) {
  return dirname(path) === dist;
}

/** Chunks of earlier builds stay for a week after they were replaced, however old: a run that goes on meanwhile loads some of them at its end. */
function removeOldChunks(current) {
  const chunks = join(dist, 'chunks');
  const list = join(chunks, 'replaced.json');
  const known = existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : {};
  const replaced = {};
  const now = Date.now();
  for (const name of readdirSync(chunks)) {
    const path = join(chunks, name);
    if (path === list || current.has(path)) continue;
    const since = known[name] ?? now;
    if (now - since > 7 * 86_400_000) rmSync(path, { force: true });
    else replaced[name] = since;
  }
  writeFileSync(`${list}.${process.pid}`, JSON.stringify(replaced));
  renameSync(`${list}.${process.pid}`, list);
}

/** npm links the programs of dependencies, not a project's own: this makes `npx pipe` work in a clone. */
function linkProgram() {
  const bin = join(root, 'node_modules', '.bin');
  if (process.platform === 'win32' || !existsSync(bin)) return;
  const link = join(bin, 'pipe');
  const target = relative(bin, join(dist, 'pipe.js'));
  try {
    if (lstatSync(link).isSymbolicLink() && readlinkSync(link) === target) return;
    rmSync(link, { force: true });
  } catch {
    // there is none yet
  }
  symlinkSync(target, link);
}
