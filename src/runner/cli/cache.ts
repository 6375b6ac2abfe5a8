/** `pipe cache`: how much is kept, what could go, whether it is whole, and what must stay. */
import type { Command } from 'commander';
import { PipeError } from '../diagnostic.ts';
import { selectCells } from '../pipeline/target.ts';
import { byteExample, durationExample, parseBytes, parseDuration } from '../pipeline/units.ts';
import { findStaleFiles } from '../plan/stale-files.ts';
import { attemptOf } from '../report/result-rows.ts';
import { cacheSizes } from '../store/cache-size.ts';
import { collectGarbage, planGc } from '../store/gc.ts';
import type { GcPlan } from '../store/gc.ts';
import { listPins, pinAttempt, unpinAttempt } from '../store/pins.ts';
import { verifyCache } from '../store/verify-cache.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/store.ts';
import { formatBytes, formatDuration, formatTime, plural } from '../ui/format.ts';
import { padEnd, padStart } from '../ui/width.ts';
import { cacheFolder } from './cache-folder.ts';
import { addKeys } from './cache-keys.ts';
import { addSharing, verifyRemote } from './cache-share.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addCacheOptions, addPipelineOptions, fileAndTargets, parsedOption } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { backendChoice, openSession } from './session.ts';

interface CacheOptions {
  readonly cache?: string;
  readonly json?: boolean;
}

export const cacheCommand: CommandModule = {
  name: 'cache',
  register(program, context) {
    const command = program.command('cache').description('size, clean, check, pin and share what is kept');
    addCacheOptions(command.command('size').description('bytes by what they are for')).action((options: CacheOptions) => size(options, context));
    addGc(command, context);
    addPipelineOptions(command.command('verify').description('read everything again; damaged outputs are put aside and made again by the next run').argument('[file-or-target...]'))
      .option('--remote', 'read what the shared cache has for the cells of a pipeline instead')
      .action((words: string[], options: PipelineOptions & { remote?: boolean }) => (options.remote ? verifyRemote(words, options, context) : verify(words, options, context)));
    addPipelineOptions(command.command('pin').description('keep the present results of cells; without targets, list what is pinned').argument('[target...]'))
      .option('--reason <text>', 'why', 'pinned by hand')
      .option('--remove', 'let them go again')
      .action((words: string[], options: PipelineOptions & { reason: string; remove?: boolean }) => pin(words, options, context));
    addSharing(command, context);
    addKeys(command, context);
  },
};

function withStore<T>(mode: 'read' | 'write', options: CacheOptions, context: CliContext, use: (store: Store) => T): T {
  const store = openStore({ cache: cacheFolder(options.cache, null, context), mode });
  try {
    return use(store);
  } finally {
    store.close();
  }
}

function size(options: CacheOptions, context: CliContext): void {
  withStore('read', options, context, store => {
    const sizes = Object.entries(cacheSizes(store)).sort((a, b) => b[1] - a[1]);
    const total = sizes.reduce((sum, [, bytes]) => sum + bytes, 0);
    if (options.json) context.stdout.write(`${JSON.stringify({ cache: store.cache, total, ...Object.fromEntries(sizes) })}\n`);
    else for (const [name, bytes] of [...sizes, ['all', total] as const]) context.stdout.write(`${padEnd(name, 14)} ${padStart(formatBytes(bytes), 8)}\n`);
  });
}

function addGc(command: Command, context: CliContext): void {
  addCacheOptions(command.command('gc').description('show what could be removed and what keeps the rest; removes only with --yes'))
    .option('--max-size <size>', 'remove the least recently used results until no more than this is left', parsedOption(parseBytes, byteExample))
    .option('--unused-for <time>', 'remove results that no run has used for so long', parsedOption(parseDuration, durationExample))
    .option('--yes', 'remove it')
    .action((options: CacheOptions & { maxSize?: number; unusedFor?: number; yes?: boolean }) => {
      withStore('write', options, context, store => {
        const now = Date.now();
        const found = planGc(store, { maxBytes: options.maxSize ?? null, unusedForMs: options.unusedFor ?? null, now });
        const running = store.results.runningAttempts().length > 0;
        const plan = { ...found, leftovers: [...found.leftovers, ...(running ? [] : findStaleFiles(store.cache, context.packageRoot, now))] };
        const freed = options.yes ? collectGarbage(store, plan) : null;
        if (options.json) context.stdout.write(`${JSON.stringify({ ...plan, freed })}\n`);
        else context.stdout.write(gcText(plan, freed));
      });
    });
}

function gcText(plan: GcPlan, freed: number | null): string {
  const lines = plan.remove.map(({ cell, bytes, lastUsed, why }) =>
    `remove ${padEnd(cell, 36)} ${padStart(formatBytes(bytes), 8)}  last used ${formatTime(lastUsed)} (${why})`);
  const kept = new Map<string, number>();
  for (const { because } of plan.keep) kept.set(because, (kept.get(because) ?? 0) + 1);
  const rest = [...plan.orphans, ...plan.leftovers];
  if (rest.length > 0) lines.push(`remove ${plural(rest.length, 'leftover')} ${formatBytes(rest.reduce((sum, { bytes }) => sum + bytes, 0))}`);
  if (kept.size > 0) lines.push(`keep   ${[...kept].map(([because, count]) => `${plural(count, 'result')} (${because})`).join(', ')}`);
  lines.push(freed !== null ? `freed ${formatBytes(freed)}` : `${formatBytes(plan.bytesBefore)} now, ${formatBytes(plan.bytesAfter)} after; nothing was removed: --yes does it`);
  return `${lines.join('\n')}\n`;
}

function verify(words: readonly string[], options: CacheOptions, context: CliContext): void {
  if (words.length > 0) throw new PipeError('all of the cache is verified, not cells', { exitCode: 2, code: 'usage', hint: 'targets go with --remote, or with `pipe verify`, which runs cells again' });
  withStore('write', options, context, store => {
    const started = performance.now();
    const found = verifyCache(store);
    const whole = found.damaged.length + found.missing.length === 0;
    if (options.json) context.stdout.write(`${JSON.stringify(found)}\n`);
    else {
      for (const { artefact, quarantined, cells } of found.damaged) context.stdout.write(`damaged ${artefact.name} of ${cells.join(', ')}: now at ${quarantined}\n`);
      for (const { artefact, cells } of found.missing) context.stdout.write(`missing ${artefact.name} of ${cells.join(', ')}\n`);
      context.stdout.write(`${plural(found.checked, 'output')} whole, ${formatBytes(found.bytes)} read in ${formatDuration(performance.now() - started)}\n`);
    }
    if (!whole) context.exit(1);
  });
}

async function pin(words: readonly string[], options: PipelineOptions & { readonly reason: string; readonly remove?: boolean }, context: CliContext): Promise<void> {
  const { targets } = fileAndTargets(words, options.file);
  if (targets.length === 0) {
    withStore('read', options, context, store => {
      const pins = listPins(store);
      if (options.json) context.stdout.write(`${JSON.stringify(pins)}\n`);
      else if (pins.length === 0) context.stdout.write('nothing is pinned\n');
      else for (const { digest, name, reason, pinnedAt } of pins) context.stdout.write(`${digest.slice(0, 12)} ${padEnd(name ?? '', 20)} ${formatTime(pinnedAt)}  ${reason}\n`);
    });
    return;
  }
  const session = await openSession(words.filter(word => !targets.includes(word)), options, context, { mode: 'write', force: 'none', backend: backendChoice(undefined, context) });
  try {
    const { plan, store, graph } = session;
    const attempts = [...selectCells(graph, targets)].flatMap(index => {
      const planned = plan.cells[index];
      const attempt = planned === undefined ? null : attemptOf(planned, plan, store);
      return attempt === null ? [] : [attempt];
    });
    if (attempts.length === 0) throw new PipeError(`${targets.join(', ')}: no results yet`, { exitCode: 1, code: 'never-run', hint: '`pipe run` makes them' });
    const outputs = attempts.flatMap(attempt => (options.remove ? unpinAttempt(store, attempt) : pinAttempt(store, attempt, options.reason, Date.now())));
    if (options.json) context.stdout.write(`${JSON.stringify({ pinned: !options.remove, outputs })}\n`);
    else context.stdout.write(`${options.remove ? 'let go' : 'pinned'} ${plural(outputs.length, 'output')}\n`);
  } finally {
    session.store.close();
  }
}
