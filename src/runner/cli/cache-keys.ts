/** `pipe cache keys`: who may be believed, and what this user signs with. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { isMap, parseDocument } from 'yaml';
import { PipeError } from '../diagnostic.ts';
import { findProjectRoot } from '../pipeline/project.ts';
import { loadSharedCacheConfig, loadSigningKey, readTrustedKeys } from '../shared-cache/config.ts';
import { configName, findCacheFile, signingKeyFile } from '../shared-cache/config-file.ts';
import { generateSigningKey, parsePublicKey } from '../shared-cache/signing-key.ts';
import { shownPath } from '../ui/lines.ts';
import { padEnd } from '../ui/width.ts';
import type { CliContext } from './context.ts';

export function addKeys(command: Command, context: CliContext): void {
  const keys = command.command('keys').description('keys that results of the shared cache are signed with');
  keys.command('list').description('your own key, and whose results are believed here').option('--json', 'print JSON')
    .action((options: { json?: boolean }) => list(options, context));
  keys.command('generate').description('make a key of your own, in your home folder').option('--overwrite', 'replace the one there is').option('--json', 'print JSON')
    .action((options: { overwrite?: boolean; json?: boolean }) => generate(options, context));
  keys.command('trust').description('believe results that are signed with a key; written into pipe.cache.yaml')
    .argument('<name>', 'whose it is').argument('<key>', 'ed25519: and 44 letters').option('--json', 'print JSON')
    .action((name: string, key: string, options: { json?: boolean }) => trust(name, key, options, context));
}

const rootOf = (context: CliContext): string => findProjectRoot(join(context.cwd, 'pipe.yaml'));

function list(options: { readonly json?: boolean }, context: CliContext): void {
  const own = loadSigningKey(context.env)?.publicKey ?? null;
  const trusted = readTrustedKeys(rootOf(context), context.env);
  const url = loadSharedCacheConfig(rootOf(context), context.env)?.url.href ?? null;
  if (options.json) {
    context.stdout.write(`${JSON.stringify({ own, trusted, cache: url })}\n`);
    return;
  }
  const rows = [...(own === null ? [] : [{ name: '(you)', key: own }]), ...trusted];
  if (rows.length === 0) context.stdout.write('no key is trusted, and you have none: `pipe cache keys generate` makes one\n');
  for (const { name, key } of rows) context.stdout.write(`${padEnd(name, 20)} ${key}\n`);
}

function generate(options: { readonly overwrite?: boolean; readonly json?: boolean }, context: CliContext): void {
  const file = signingKeyFile(context.env);
  if (existsSync(file) && !options.overwrite) {
    throw new PipeError(`there is a key in ${file} already`, { exitCode: 2, code: 'already-there', hint: '--overwrite replaces it: nobody will trust what the new one signs until they are told' });
  }
  const { pem, publicKey } = generateSigningKey();
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, pem, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, file);
  if (options.json) context.stdout.write(`${JSON.stringify({ file, publicKey })}\n`);
  else context.stdout.write(`${publicKey}\nThe private half is in ${file}: it stays there. Others believe what you push after\n  pipe cache keys trust NAME ${publicKey}\n`);
}

function trust(name: string, text: string, options: { readonly json?: boolean }, context: CliContext): void {
  const key = parsePublicKey(text);
  if (key === null) throw new PipeError(`${text.includes('PRIVATE') ? 'that' : text} is no public key`, { exitCode: 2, code: 'usage', hint: '`pipe cache keys list` prints one: ed25519: and 44 letters' });
  const file = findCacheFile(rootOf(context), context.env) ?? join(rootOf(context), configName);
  const document = parseDocument(existsSync(file) ? readFileSync(file, 'utf8') : '');
  const error = document.errors[0];
  if (error !== undefined || (document.contents !== null && !isMap(document.contents))) {
    throw new PipeError(`${shownPath(file, context.cwd)}: ${error?.message ?? 'it holds no settings'}`, { exitCode: 2, code: 'invalid-shared-cache' });
  }
  document.setIn(['trusted', name], key);
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, document.toString());
  renameSync(temporary, file);
  if (options.json) context.stdout.write(`${JSON.stringify({ file, name, key })}\n`);
  else context.stdout.write(`${name} is trusted: written to ${shownPath(file, context.cwd)}\n`);
}
