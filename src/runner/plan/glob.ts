/**
 * Globs of the project's inputs: `*` and `?` within a name, `**` over folders, `{a,b}`, `[a-z]`. Names that begin with a
 * dot match only a pattern that begins with one, and `**` goes neither into such folders nor into node_modules.
 * What matches is handed on as text, to commands too: a name that is not UTF-8 cannot be, and is an error where it matches.
 */
import { lstatSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { bytePath, errorCode, fileTrouble, shownPath } from '../store/file-bytes.ts';

/** Files that match, relative to `root` with `/`, sorted by bytes. `pattern` may be absolute: then so are they. */
export function findFiles(root: string, pattern: string): string[] {
  const found = new Set<string>();
  for (const plain of expandBraces(pattern.replace(/^(\.\/)+/, ''))) {
    const absolute = plain.startsWith('/');
    const parts = plain.split('/').filter(part => part !== '' && part !== '.');
    walk(absolute ? '/' : root, absolute ? '/' : '', parts, found);
  }
  return [...found].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function walk(folder: string, prefix: string, parts: readonly string[], found: Set<string>): void {
  const [part, ...rest] = parts;
  if (part === undefined) return;
  if (part === '**') {
    walk(folder, prefix, rest, found);
    for (const { name, folder: isFolder, link } of list(folder)) {
      // A link to a folder is not followed here: it might be a ring.
      if (isFolder && !link && !name.startsWith('.') && name !== 'node_modules') walk(join(folder, asText(folder, name)), `${prefix}${name}/`, parts, found);
      else if (rest.length === 0 && !isFolder && !name.startsWith('.')) found.add(prefix + asText(folder, name));
    }
    return;
  }
  if (!/[*?[]/.test(part)) {
    const stat = statSync(join(folder, part), { throwIfNoEntry: false });
    if (stat === undefined) return;
    if (rest.length > 0) walk(join(folder, part), `${prefix}${part}/`, rest, found);
    else if (stat.isFile()) found.add(prefix + part);
    return;
  }
  const matches = nameMatcher(part);
  for (const { name, folder: isFolder } of list(folder)) {
    if (!matches(name)) continue;
    if (rest.length > 0 && isFolder) walk(join(folder, asText(folder, name)), `${prefix}${name}/`, rest, found);
    else if (rest.length === 0 && !isFolder) found.add(prefix + asText(folder, name));
  }
}

/** The name, unless it stands for one that is not UTF-8, whose odd bytes were read as U+FFFD. */
function asText(folder: string, name: string): string {
  if (!name.includes('\ufffd') || lstatSync(join(folder, name), { throwIfNoEntry: false }) !== undefined) return name;
  const bytes = readdirSync(folder, 'latin1').find(other => Buffer.from(other, 'latin1').toString('utf8') === name) ?? name;
  throw new PipeError(`${join(folder, shownPath(bytes))} has a name that is not UTF-8, and a glob matches it`, {
    exitCode: 2, code: 'name-not-utf8', hint: 'rename it, or name the folder in place of the glob: in a folder all names are kept as they are',
  });
}

interface Listed {
  readonly name: string;
  /** A folder, or a link to one. */
  readonly folder: boolean;
  readonly link: boolean;
}

function list(folder: string): Listed[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).map(entry => ({
      name: entry.name,
      link: entry.isSymbolicLink(),
      folder: entry.isDirectory() || (entry.isSymbolicLink() && leadsToFolder(join(folder, entry.name))),
    }));
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw fileTrouble(bytePath(folder), error);
  }
}

/** A link that leads nowhere is none: as a file it is refused later, by its name. */
function leadsToFolder(link: string): boolean {
  try {
    return statSync(link).isDirectory();
  } catch {
    return false;
  }
}

/** One name against one part of a pattern. */
export function nameMatcher(part: string): (name: string) => boolean {
  let source = '';
  for (let i = 0; i < part.length; i++) {
    const c = part[i]!;
    if (c === '*') source += '[^/]*';
    else if (c === '?') source += '[^/]';
    else if (c === '[') {
      const end = part.indexOf(']', i + 2);
      if (end < 0) throw new PipeError(`the glob \`${part}\` has a \`[\` that is never closed`, { exitCode: 2, code: 'bad-glob' });
      const inner = part.slice(i + 1, end);
      source += `[${inner.startsWith('!') ? `^${escapeClass(inner.slice(1))}` : escapeClass(inner)}]`;
      i = end;
    } else source += c.replace(/[.+^${}()|\\\]/]/g, '\\$&');
  }
  const regex = new RegExp(`^${source}$`, 'us');
  const dotted = part.startsWith('.');
  return name => (dotted || !name.startsWith('.')) && regex.test(name);
}

function escapeClass(text: string): string {
  return text.replace(/[\\\]^]/g, '\\$&');
}

/** `{a,b}/{c,d}` → the four of them; nested ones, too. */
export function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf('{');
  if (open < 0) return [pattern];
  let depth = 0;
  const commas: number[] = [];
  for (let i = open; i < pattern.length; i++) {
    const c = pattern[i];
    if (c === '{') depth++;
    else if (c === ',' && depth === 1) commas.push(i);
    else if (c === '}' && --depth === 0) {
      if (commas.length === 0) break;
      const ends = [...commas, i];
      return ends.flatMap((end, index) => {
        const start = index === 0 ? open + 1 : ends[index - 1]! + 1;
        return expandBraces(pattern.slice(0, open) + pattern.slice(start, end) + pattern.slice(i + 1));
      });
    }
  }
  // A brace without a comma or an end means itself.
  return expandBraces(pattern.slice(open + 1)).map(rest => pattern.slice(0, open + 1) + rest);
}
