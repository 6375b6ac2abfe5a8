/** `pipe accept TARGET --reason …`: a cell's present outputs stand for its new key, and everything that shows them says so. */
import { PipeError } from '../diagnostic.ts';
import { selectCells } from '../pipeline/target.ts';
import type { Plan } from '../plan/model.ts';
import { acceptOutputs } from '../store/accept.ts';
import type { Acceptable } from '../store/accept.ts';
import { plural } from '../ui/format.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { backendChoice, openSession } from './session.ts';

export const acceptCommand: CommandModule = {
  name: 'accept',
  register(program, context) {
    addPipelineOptions(program.command('accept').description('let the present outputs of cells stand for their new keys, without running them').argument('<target...>'))
      .requiredOption('--reason <text>', 'why that is right; shown wherever the results are')
      .action(async (words: string[], options: PipelineOptions & { reason: string }) => {
        const { targets } = fileAndTargets(words, options.file);
        const reason = options.reason.trim();
        if (reason === '' || targets.length === 0) {
          throw new PipeError('pipe accept takes targets and a reason', { exitCode: 2, code: 'usage', hint: 'pipe accept TARGET --reason "only a log line changed"' });
        }
        const files = words.filter(word => !targets.includes(word));
        const session = await openSession(files, options, context, { mode: 'write', force: 'none', backend: backendChoice(undefined, context) });
        try {
          const cells = selectCells(session.graph, targets);
          const accepted = acceptOutputs(session.store, acceptable(session.plan, cells), reason);
          if (options.json) context.stdout.write(`${JSON.stringify({ reason, accepted })}\n`);
          else if (accepted.length === 0) context.stdout.write('nothing to accept: all of it is fresh\n');
          else {
            context.stdout.write(`accepted ${plural(accepted.length, 'cell')}: ${reason}\n`);
            for (const { cell, key, attempt } of accepted) context.stdout.write(`  ${cell}  ${key.slice(0, 10)} is now made by attempt ${attempt}\n`);
          }
        } finally {
          session.store.close();
        }
      });
  },
};

/** Fresh cells need no acceptance. What cannot be accepted is said before anything is written. */
function acceptable(plan: Plan, cells: ReadonlySet<number>): Acceptable[] {
  return [...cells].flatMap(index => {
    const planned = plan.cells[index];
    const cell = plan.graph.cells[index];
    if (planned === undefined || cell === undefined || planned.state === 'fresh' || planned.state === 'stopped') return [];
    if (planned.actionKey === null) {
      throw new PipeError(`${cell.id} depends on cells that are not fresh`, {
        exitCode: 1, code: 'not-settled', hint: `accept or run those first: \`pipe why '${cell.id}'\` names them`,
      });
    }
    return [{ pipeline: plan.graph.pipeline, cell: cell.id, key: planned.actionKey, outputs: Object.keys(cell.outputs) }];
  });
}
