/** `pipe hosts gc NAME`: what of a host's work folder nobody has used for long, and removing it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { loadHosts } from '../hosts/hosts-file.ts';
import { chooseHosts } from '../hosts/placement.ts';
import { findProjectRoot } from '../pipeline/project.ts';
import { byteExample, durationExample, parseBytes, parseDuration } from '../pipeline/units.ts';
import type { HostGcPlan, HostGcRequest } from '../remote/protocol.ts';
import type { Digest } from '../store/model.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import { formatBytes, formatTime, plural } from '../ui/format.ts';
import { padEnd, padStart } from '../ui/width.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext } from './context.ts';
import { addCacheOptions, parsedOption } from './options.ts';

const defaultUnusedMs = 30 * 86_400_000;

interface GcOptions {
  readonly cache?: string;
  readonly json?: boolean;
  readonly maxSize?: number;
  readonly unusedFor?: number;
  readonly yes?: boolean;
}

export function addHostGc(command: Command, context: CliContext): void {
  addCacheOptions(command.command('gc').description('show what could be removed from a host\'s work folder; removes only with --yes').argument('<name>', 'a host of the hosts file'))
    .option('--max-size <size>', 'remove the least recently used artefacts until no more than this is left', parsedOption(parseBytes, byteExample))
    .option('--unused-for <time>', 'remove what nobody has used for so long; 30d unless said', parsedOption(parseDuration, durationExample))
    .option('--yes', 'remove it')
    .action(async (name: string, options: GcOptions, { parent }: Command) => {
      // `--json` and the like may stand before the word gc, too.
      const json = options.json === true || parent?.opts()['json'] === true;
      const hosts = await loadHosts(findProjectRoot(join(context.cwd, 'pipe.yaml')), context.env);
      const [settings] = chooseHosts([name], hosts);
      const { openHost } = await import('../remote/executors.ts');
      const host = openHost(settings!, context.packageRoot, text => context.stderr.write(`${text}\n`));
      const store = openStore({ cache: cacheFolder(options.cache, null, context), mode: 'write' });
      try {
        const request: HostGcRequest = { unusedForMs: options.unusedFor ?? defaultUnusedMs, maxBytes: options.maxSize ?? null, keep: onlyThere(store, name), remove: options.yes === true };
        const plan = await host.using(new AbortController().signal, async link => await link.ask<HostGcPlan>('gc', { request }));
        if (json) context.stdout.write(`${JSON.stringify({ host: name, removed: request.remove, ...plan })}\n`);
        else context.stdout.write(gcText(plan, request.remove));
      } finally {
        store.close();
        await host.close();
      }
    });
}

/** Artefacts of this cache that lie on the host and not here: without it they would have to be made again. */
function onlyThere(store: Store, host: string): Digest[] {
  const rows = store.database.prepare<[string], { digest: Digest }>('SELECT digest FROM artefact_location WHERE host = ?').all(host);
  return rows.map(({ digest }) => digest).filter(digest => !existsSync(join(store.cache, 'artefacts', digest)));
}

function gcText({ remove, kept, bytesBefore, bytesAfter }: HostGcPlan, removed: boolean): string {
  const [leftovers, named] = [remove.filter(({ kind }) => kind === 'leftover'), remove.filter(({ kind }) => kind !== 'leftover')];
  const lines = named.map(({ kind, name, bytes, lastUsed }) => `remove ${padEnd(kind, 10)} ${padEnd(name, 36)} ${padStart(formatBytes(bytes), 8)}  last used ${formatTime(lastUsed)}`);
  if (leftovers.length > 0) lines.push(`remove ${plural(leftovers.length, 'leftover')} ${formatBytes(leftovers.reduce((sum, { bytes }) => sum + bytes, 0))}`);
  const because = [[kept.inUse, 'of jobs there'], [kept.onlyHere, 'only there, and results of this cache'], [kept.recent, 'used lately']] as const;
  if (because.some(([count]) => count > 0)) lines.push(`keep   ${because.flatMap(([count, why]) => (count > 0 ? [`${plural(count, 'artefact')} (${why})`] : [])).join(', ')}`);
  lines.push(removed ? `freed ${formatBytes(bytesBefore - bytesAfter)}` : `${formatBytes(bytesBefore)} now, ${formatBytes(bytesAfter)} after; nothing was removed: --yes does it`);
  return `${lines.join('\n')}\n`;
}
