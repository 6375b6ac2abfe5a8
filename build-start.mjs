/**
 * Chunks that load together, in one file. `esbuild` makes a chunk for every set of commands that share something: a run
 * loads sixty, and finding, opening and linking them takes longer than what is in them. What every run loads is put
 * into `chunks/core-….js`; in place of each chunk stays a file that passes on what the others import from it.
 */
import { createHash } from 'node:crypto';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * @param {object} options
 * @param {import('esbuild').BuildResult} options.split  A build with splitting, its metafile, nothing written.
 * @param {string} options.dist
 * @param {import('esbuild').BuildOptions} options.common
 * @param {string[]} options.commands  Modules that are imported dynamically and belong to the start.
 * @param {string[]} options.apart  Entries whose chunks stay as they are: others load them by themselves.
 * @returns {Promise<{ path: string, contents: Uint8Array }[]>}  All files of the build.
 */
export async function mergeStart({ split, dist, common, commands, apart }) {
  const { outputs } = split.metafile;
  const outputOf = source => Object.keys(outputs).find(path => outputs[path].entryPoint === source);
  const program = outputOf('src/main.ts');
  const untouched = closure(apart.map(outputOf), outputs);
  const merged = [...closure([program, ...commands.map(outputOf)], outputs)].filter(path => path !== program && !untouched.has(path));
  const absolute = path => join(common.absWorkingDir, path);
  const contents = new Map(split.outputFiles.map(file => [file.path, file.contents]));
  const isMerged = new Set([program, ...merged].map(absolute));
  // Each under a name of its own: chunks call their exports what they like.
  const reexports = merged.map((path, i) => outputs[path].exports.map(name => `export { ${name} as ${name}_${i} } from ${JSON.stringify(absolute(path))};`).join('\n') || `import ${JSON.stringify(absolute(path))};`);

  const again = await build({
    ...common,
    entryPoints: [{ in: absolute(program), out: 'pipe' }, { in: 'core', out: 'chunks/core' }],
    chunkNames: 'chunks/start-[hash]',
    splitting: true,
    plugins: [{
      name: 'merge',
      setup({ onResolve, onLoad }) {
        onResolve({ filter: /.*/ }, ({ path, kind, resolveDir }) => {
          if (path === absolute(program)) return { path: relative(dist, path), namespace: 'built' };
          if (path === 'core') return { path, namespace: 'core' };
          if (!path.startsWith('.') && !path.startsWith('/')) return { path, external: true };
          const target = resolve(resolveDir, path);
          return kind !== 'dynamic-import' && isMerged.has(target) ? { path: relative(dist, target), namespace: 'built' } : { path: marked + basename(target), external: true };
        });
        onLoad({ filter: /.*/, namespace: 'core' }, () => ({ contents: reexports.join('\n'), resolveDir: dist }));
        onLoad({ filter: /.*/, namespace: 'built' }, ({ path }) => ({ contents: contents.get(join(dist, path)), resolveDir: dirname(join(dist, path)), loader: 'js' }));
      },
    }],
  });
  const chunks = join(dist, 'chunks');
  const made = again.outputFiles.map(({ path, text }) => ({ path, contents: text.replaceAll(marked, dirname(path) === chunks ? './' : './chunks/') }));
  const core = made.find(({ path }) => basename(path) === 'core.js');
  const tag = createHash('sha256').update(core.contents).digest('hex').slice(0, 8);
  core.path = join(chunks, `core-${tag}.js`);
  const passedOn = merged.map((path, i) => ({ path: absolute(path), contents: passOn(`./${basename(core.path)}`, outputs[path].exports, i) }));
  const others = split.outputFiles.filter(({ path }) => !isMerged.has(path)).map(({ path, text }) => ({ path, contents: text }));
  const apartPaths = new Set([...untouched].map(absolute));
  // What passes on to another core has another name, and so has what imports it: a run that began before this build goes on with its own.
  const names = new Set([...passedOn, ...others].filter(({ path }) => dirname(path) === chunks && !apartPaths.has(path)).map(({ path }) => basename(path)));
  const tagged = text => text.replace(/[\w.-]+-[A-Z0-9]{8}\.js/g, name => (names.has(name) ? `${name.slice(0, -3)}-${tag}.js` : name));
  return [...made, ...passedOn, ...others].map(({ path, contents }) => ({ path: join(dirname(path), tagged(basename(path))), contents: withRequire(tagged(contents)) }));
}

/** Packages in CommonJS that have become part of a chunk ask for Node's own modules through a function that wants a `require` to be there. */
const withRequire = text => (text.includes('Dynamic require of') ? `import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);\n${text}` : text);

const marked = 'chunk-of-the-first-build:';

const passOn = (core, names, i) => (names.length === 0 ? `import ${JSON.stringify(core)};\n` : `export { ${names.map(name => `${name}_${i} as ${name}`).join(', ')} } from ${JSON.stringify(core)};\n`);

/** Chunks that are loaded with these: what they import, and so on, but not what they import dynamically. */
function closure(paths, outputs) {
  const found = new Set(paths);
  for (const path of found) for (const { path: imported, kind, external } of outputs[path].imports) if (kind === 'import-statement' && !external) found.add(imported);
  return found;
}
