/** `pipe get TARGET.OUTPUT [PATH]`: a copy of an output, by write and rename. */
import { chmodSync, cpSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { selectOutput } from '../pipeline/target.ts';
import { attemptOf, markOf } from '../report/result-rows.ts';
import { outputsOf } from '../store/history.ts';
import { formatBytes } from '../ui/format.ts';
import { shownPath } from '../ui/lines.ts';
import type { CommandModule } from './context.ts';
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
        await withReading([], options, context, session => {
          const { source, name, digest, size, stale } = findOutput(session, target);
          const wanted = resolve(context.cwd, path ?? name);
          const into = existsSync(wanted) && statSync(wanted).isDirectory() && path !== undefined ? join(wanted, name) : wanted;
          if (existsSync(into) && !options.overwrite) {
            throw new PipeError(`${shownPath(into, context.cwd)} is there already`, { exitCode: 2, code: 'already-there', hint: '--overwrite writes over it' });
          }
          copyWhole(source, into);
          if (options.json) context.stdout.write(`${JSON.stringify({ path: into, digest, size, stale })}\n`);
          else {
            if (stale !== null) context.stderr.write(`warning: ${target} is stale: ${stale}\n`);
            context.stdout.write(`${shownPath(into, context.cwd)} (${formatBytes(size)})\n`);
          }
        });
      });
  },
};

function findOutput(session: Session, target: string): { source: string; name: string; digest: string; size: number; stale: string | null } {
  const { plan, store, graph } = session;
  const { cell: index, output } = selectOutput(graph, target);
  const planned = plan.cells[index];
  const id = graph.cells[index]?.id ?? target;
  const attempt = planned === undefined ? null : attemptOf(planned, plan, store);
  const artefact = attempt === null ? undefined : outputsOf(store.database, attempt)[output];
  if (planned === undefined || artefact === undefined) {
    throw new PipeError(`${id} has no result yet`, { exitCode: 1, code: 'never-run', hint: `\`pipe run '${id}'\` makes it` });
  }
  if (store.artefacts.present(artefact) !== 'here') {
    throw new PipeError(`${id}.${output} is not in the cache any more`, { exitCode: 1, code: 'output-gone', hint: `\`pipe run '${id}'\` makes it again` });
  }
  const mark = markOf(planned, attempt, plan);
  const stale = mark.state === 'stale' ? mark.why : null;
  return { source: store.artefacts.pathOf(artefact), name: basename(artefact.name), digest: artefact.digest, size: artefact.size, stale };
}

/** A copy that can be changed: what lies in the cache is read-only. */
function copyWhole(source: string, into: string): void {
  mkdirSync(dirname(into), { recursive: true });
  const temporary = join(dirname(into), `.${basename(into, extname(into))}.${process.pid}${extname(into)}`);
  try {
    cpSync(source, temporary, { recursive: true, verbatimSymlinks: true, errorOnExist: true });
    makeWritable(temporary);
    if (existsSync(into)) rmSync(into, { recursive: true });
    renameSync(temporary, into);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw new PipeError(`${into} cannot be written: ${error instanceof Error ? error.message : String(error)}`, { exitCode: 3, code: 'write-failed', cause: error });
  }
}

function makeWritable(path: string): void {
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chmodSync(path, stat.mode | 0o200);
  if (stat.isDirectory()) for (const name of readdirSync(path)) makeWritable(join(path, name));
}
