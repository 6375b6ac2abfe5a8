/** `pipe logs`: the log of the last attempt; of a fresh cell, the log of the attempt that made its result. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { PipeError } from '../diagnostic.ts';
import { selectOneCell } from '../pipeline/target.ts';
import { attemptOf } from '../report/result-rows.ts';
import type { Attempt } from '../store/model.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets, onlyTarget } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';
import type { Session } from './session.ts';

const pollMs = 200;

export const logsCommand: CommandModule = {
  name: 'logs',
  register(program, context) {
    addPipelineOptions(program.command('logs').description('show the log of the last attempt of a cell').argument('<target...>'))
      .option('--follow', 'go on while it runs')
      .action(async (words: string[], options: PipelineOptions & { follow?: boolean }) => {
        const target = onlyTarget(fileAndTargets(words, options.file).targets, 'logs');
        await withReading(words.filter(word => word !== target), options, context, async session => {
          const attempt = lastAttempt(session, target);
          const print = options.json
            ? (text: string): unknown => context.stdout.write(`${JSON.stringify({ event: 'log', cell: attempt.cell, attempt: attempt.id, text })}\n`)
            : (text: string): unknown => context.stdout.write(text);
          if (!existsSync(attempt.log)) {
            const shared = (await session.shared?.log(attempt.id)) ?? null;
            if (shared !== null) return void print(shared.toString('utf8'));
            throw new PipeError(`the log of attempt ${attempt.id} is not there any more: ${attempt.log}`, { exitCode: 1, code: 'no-log' });
          }
          await copyLog(attempt, print, options.follow === true ? () => stillRuns(session, attempt.id) : () => false, context);
        });
      });
  },
};

/** What ran last, whether it went well or not; a cell that shares its result with another has that one's attempt. */
function lastAttempt(session: Session, target: string): Attempt {
  const { plan, store, graph } = session;
  const index = selectOneCell(graph, target);
  const cell = graph.cells[index];
  const planned = plan.cells[index];
  const last = cell === undefined ? undefined : store.results.lastAttempts(graph.pipeline, cell.id, { limit: 1 })[0];
  const made = planned === undefined ? null : attemptOf(planned, plan, store);
  const attempt = last ?? (made === null ? null : store.results.attempt(made));
  if (attempt === null) {
    throw new PipeError(`${cell?.id ?? target} has not been run yet`, { exitCode: 1, code: 'never-run', hint: `\`pipe run ${target}\` runs it` });
  }
  return attempt;
}

const stillRuns = (session: Session, attempt: number): boolean => session.store.results.attempt(attempt)?.status === 'running';

/** Copies what is there, and then what is added for as long as `goesOn` says so. */
async function copyLog(attempt: Attempt, print: (text: string) => unknown, goesOn: () => boolean, context: CliContext): Promise<void> {
  const descriptor = openSync(attempt.log, 'r');
  const decoder = new TextDecoder();
  let position = 0;
  const copy = (): void => {
    const { size } = fstatSync(descriptor);
    while (position < size) {
      const buffer = Buffer.alloc(Math.min(size - position, 256 * 1024));
      const read = readSync(descriptor, buffer, 0, buffer.length, position);
      if (read === 0) break;
      position += read;
      print(decoder.decode(buffer.subarray(0, read), { stream: true }));
    }
  };
  let stopped = false;
  const onInterrupt = (): void => {
    stopped = true;
    context.exit(130);
  };
  process.once('SIGINT', onInterrupt);
  try {
    for (;;) {
      // Asked before reading: what was written until the end of the attempt is then surely copied.
      const more = goesOn() && !stopped;
      copy();
      if (!more) break;
      await new Promise(resolve => setTimeout(resolve, pollMs));
    }
  } finally {
    process.off('SIGINT', onInterrupt);
    closeSync(descriptor);
  }
}
