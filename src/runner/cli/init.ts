/** `pipe init`: a project that runs as it is. Nothing that is there is written over. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { suggestion } from '../pipeline/suggest.ts';
import { shownPath } from '../ui/lines.ts';
import type { CommandModule } from './context.ts';
import { templates } from './init-templates.ts';

const names = [...Object.keys(templates), 'study'];

export const initCommand: CommandModule = {
  name: 'init',
  register(program, context) {
    program
      .command('init')
      .description('start a project from a template')
      .argument('[template]', `${names.join(', ')} (default: shell); study copies the shipped pipelines`)
      .argument('[folder]', 'where to put it (default: here)')
      .option('--template <name>', 'the template, for those who would rather say it so')
      .option('--json', 'print JSON')
      .action((first: string | undefined, second: string | undefined, options: { json?: boolean; template?: string }) => {
        const { template, folder } = templateAndFolder(first, second, options.template);
        const root = resolve(context.cwd, folder);
        const files = withSchemaNamed(filesOf(template, context.packageRoot), root, context.packageRoot);
        const there = [...files.keys()].filter(name => existsSync(join(root, name)));
        if (there.length > 0) {
          throw new PipeError(`${there.join(', ')} ${there.length === 1 ? 'is' : 'are'} there already: nothing was written`, {
            exitCode: 2, code: 'already-there', hint: 'name another folder: `pipe init ' + template + ' FOLDER`',
          });
        }
        for (const [name, content] of files) {
          mkdirSync(dirname(join(root, name)), { recursive: true });
          writeFileSync(join(root, name), content);
        }
        const ignored = ignoreCache(root);
        const written = [...files.keys(), ...(ignored ? ['.gitignore'] : [])];
        if (options.json) {
          context.stdout.write(`${JSON.stringify({ template, folder: root, written })}\n`);
          return;
        }
        const enter = root === context.cwd ? '' : `cd ${shownPath(root, context.cwd)} && `;
        const file = template === 'study' ? ' scaling.yaml' : '';
        context.stdout.write(`wrote ${written.join(', ')}\nnow: ${enter}pipe run${file}\n`);
      });
  },
};

/** `init TEMPLATE FOLDER`, or `init --template TEMPLATE FOLDER`. */
function templateAndFolder(first: string | undefined, second: string | undefined, named: string | undefined): { readonly template: string; readonly folder: string } {
  if (named === undefined) return { template: first ?? 'shell', folder: second ?? '.' };
  if (second !== undefined) {
    throw new PipeError(`there are two templates, ${first} and ${named}`, { exitCode: 2, code: 'usage', hint: `write \`pipe init ${named} ${second}\`` });
  }
  return { template: named, folder: first ?? '.' };
}

const modeline = /^# yaml-language-server: .*\n/;

/**
 * Pipelines with a first line that names the schema to editors, by its path in the project. A program that is installed
 * elsewhere has no path that would hold on another machine: then there is no such line.
 */
export function withSchemaNamed(files: ReadonlyMap<string, string>, root: string, packageRoot: string): ReadonlyMap<string, string> {
  const inside = relative(root, packageRoot);
  const isInside = inside !== '' && !inside.startsWith('..') && !isAbsolute(inside);
  return new Map(Array.from(files, ([name, text]) => {
    if (!/\.ya?ml$/.test(name)) return [name, text];
    const path = relative(dirname(join(root, name)), join(packageRoot, 'docs', 'pipeline.schema.json')).split(sep).join('/');
    return [name, `${isInside ? `# yaml-language-server: $schema=${path}\n` : ''}${text.replace(modeline, '')}`];
  }));
}

function filesOf(template: string, packageRoot: string): ReadonlyMap<string, string> {
  if (template === 'study') return shippedPipelines(join(packageRoot, 'pipelines'));
  const known = Object.entries(templates).find(([name]) => name === template)?.[1];
  if (known === undefined) {
    throw new PipeError(`there is no template ${template}`, {
      exitCode: 2, code: 'unknown-template', hint: suggestion(template, names, 'there are'),
    });
  }
  return new Map(Object.entries(known.files));
}

/** The study's pipelines; their stages come with the package. */
function shippedPipelines(folder: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const names = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
  for (const name of names.sort()) {
    if (/\.ya?ml$/.test(name)) files.set(join('pipelines', name), readFileSync(join(folder, name), 'utf8'));
  }
  return files;
}

/** Adds `cache/` to .gitignore unless it says so already. True if something was written. */
function ignoreCache(root: string): boolean {
  const file = join(root, '.gitignore');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  if (text.split('\n').some(line => /^\/?cache\/?\*?$/.test(line.trim()))) return false;
  writeFileSync(file, `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}cache/\n`);
  return true;
}
