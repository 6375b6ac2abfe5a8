/** `pipe get TARGET.OUTPUT [PATH]`: a copy of an output, by write and rename. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { selectOutput } from '../pipeline/target.ts';
import { attemptOf, markOf } from '../report/result-rows.ts';
import { copyTree } from '../store/copy-tree.ts';
import { outputsOf } from '../store/history.ts';
import type { Artefact } from '../store/model.ts';
import { openStore } from '../store/store.ts';
import { formatBytes } from '../ui/format.ts';
import { shownPath } from '../ui/lines.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';
import type { Session } from './session.ts';

export const getCommand: CommandModule = {
  name: 'get',
  register(program, context) {
    addPipelineOptions(program.command('get').description('copy an output out of the cache'))
      .argument('<target.output>', 'for example train[size=d32l2,seed=1].model')
      .argument('[path]', 'where to put it; its own name here unless said')
      .option('--overwrite', 'write over what is there')
      .action(async (target: string, path: string | undefined, options: PipelineOptions & { overwrite?: boolean }) => {
        await withReading([], options, context, async session => {
          const found = await findOutput(session, target, context);
          const { artefact, stale } = found;
          const { digest, size } = artefact;
          const name = basename(artefact.name);
          const wanted = resolve(context.cwd, path ?? name);
          const into = existsSync(wanted) && statSync(wanted).isDirectory() && path !== undefined ? join(wanted, name) : wanted;
          if (existsSync(into) && !options.overwrite) {
            throw new PipeError(`${shownPath(into, context.cwd)} is there already`, { exitCode: 2, code: 'already-there', hint: '--overwrite writes over it' });
          }
          if (found.hosts.length === 0) await copyWhole(session.store.artefacts.pathOf(artefact), into);
          else await fetchWhole(session, artefact, found.hosts, into, context);
          if (options.json) context.stdout.write(`${JSON.stringify({ path: into, digest, size, stale })}\n`);
          else {
            if (stale !== null) context.stderr.write(`warning: ${target} is stale: ${stale}\n`);
            context.stdout.write(`${shownPath(into, context.cwd)} (${formatBytes(size)})\n`);
          }
        });
      });
  },
};

interface Found {
  readonly artefact: Artefact;
  readonly stale: string | null;
  /** Where it has to be fetched from; none when it is here. */
  readonly hosts: readonly string[];
}

async function findOutput(session: Session, target: string, context: CliContext): Promise<Found> {
  const { plan, store, graph } = session;
  const { cell: index, output } = selectOutput(graph, target);
  const planned = plan.cells[index];
  const id = graph.cells[index]?.id ?? target;
  const attempt = planned === undefined ? null : attemptOf(planned, plan, store);
  const artefact = attempt === null ? undefined : outputsOf(store.database, attempt)[output];
  if (planned === undefined || artefact === undefined) {
    throw new PipeError(`${id} has no result yet`, { exitCode: 1, code: 'never-run', hint: `\`pipe run '${id}'\` makes it` });
  }
  const here = store.artefacts.present(artefact) === 'here' || (await restoreFromElsewhere(session, artefact, context));
  const hosts = here ? [] : store.artefacts.elsewhere(artefact.digest);
  if (!here && hosts.length === 0) {
    throw new PipeError(`${id}.${output} is not in the cache any more`, { exitCode: 1, code: 'output-gone', hint: `\`pipe run '${id}'\` makes it again` });
  }
  const mark = markOf(planned, attempt, plan, store);
  const stale = mark.state === 'stale' ? mark.why : null;
  return { artefact, stale, hosts };
}

/** From a host that has it, checked by digest on the way; the cache is not written to. */
async function fetchWhole(session: Session, artefact: Artefact, hosts: readonly string[], into: string, context: CliContext): Promise<void> {
  const [{ loadHosts }, { openHost }, { pull, NotThere }, { unknownHost }] = await Promise.all([
    import('../hosts/hosts-file.ts'), import('../remote/executors.ts'), import('../remote/pull.ts'), import('../hosts/placement.ts'),
  ]);
  const known = await loadHosts(session.graph.root, context.env);
  let trouble: unknown = null;
  for (const name of hosts) {
    const settings = known.entries.get(name);
    if (settings === undefined) {
      trouble ??= unknownHost(name, known);
      continue;
    }
    const host = openHost(settings, context.packageRoot, text => context.stderr.write(`${text}\n`));
    const folder = mkdtempSync(join(tmpdir(), 'pipe-get-'));
    try {
      const path = join(folder, artefact.name);
      await host.using(new AbortController().signal, async link => {
        rmSync(path, { recursive: true, force: true });
        await pull(link, artefact, path);
      });
      return await copyWhole(path, into);
    } catch (error) {
      trouble ??= error instanceof NotThere ? new PipeError(`${name}: ${error.message}`, { exitCode: 1, code: 'output-gone', hint: 'run it again' }) : error;
    } finally {
      rmSync(folder, { recursive: true, force: true });
      await host.close();
    }
  }
  throw trouble;
}

/** From the shared cache. This command only reads: what comes from there is taken in by a store of its own. */
async function restoreFromElsewhere({ store: { artefacts: { supply } }, cache, graph }: Session, artefact: Artefact, context: CliContext): Promise<boolean> {
  if (supply?.has(artefact.digest) !== true) return false;
  const { SharedResults } = await import('../shared-cache/shared-results.ts');
  const store = openStore({ cache, mode: 'write' });
  try {
    const shared = new SharedResults({ store, root: graph.root, environment: context.env, packageRoot: context.packageRoot, version: context.version, push: false });
    store.artefacts.supply = shared;
    shared.listen(text => void context.stderr.write(`warning: ${text}\n`));
    return await shared.restore(artefact);
  } finally {
    store.close();
  }
}

/** Beside its place, then moved there: nobody sees half of it. */
async function copyWhole(source: string, into: string): Promise<void> {
  mkdirSync(dirname(into), { recursive: true });
  const temporary = join(dirname(into), `.${basename(into, extname(into))}.${process.pid}${extname(into)}`);
  try {
    await copyTree(source, temporary);
    if (existsSync(into)) rmSync(into, { recursive: true });
    renameSync(temporary, into);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw new PipeError(`${into} cannot be written: ${error instanceof Error ? error.message : String(error)}`, { exitCode: 3, code: 'write-failed', cause: error });
  }
}
