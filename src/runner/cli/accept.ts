/** `pipe accept TARGET --reason …`: a cell's present outputs stand for its new key, and everything that shows them says so. */
import { PipeError } from '../diagnostic.ts';
import { selectCells } from '../pipeline/target.ts';
import type { Plan } from '../plan/model.ts';
import { outputsOf } from '../report/collect.ts';
import type { Artefact, Key } from '../store/model.ts';
import type { Store } from '../store/store.ts';
import { plural } from '../ui/format.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { backendChoice, openSession } from './session.ts';

interface Accepted {
  readonly cell: string;
  readonly key: Key;
  readonly attempt: number;
}

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
          const accepted = acceptCells(session.plan, session.store, cells, reason);
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

/** All or none: what cannot be accepted is said before anything is written. */
function acceptCells(plan: Plan, store: Store, cells: ReadonlySet<number>, reason: string): Accepted[] {
  const ready = [...cells].flatMap(index => {
    const planned = plan.cells[index];
    const cell = plan.graph.cells[index];
    if (planned === undefined || cell === undefined || planned.state === 'fresh' || planned.state === 'stopped') return [];
    if (planned.actionKey === null) {
      throw new PipeError(`${cell.id} depends on cells that are not fresh`, {
        exitCode: 1, code: 'not-settled', hint: `accept or run those first: \`pipe why '${cell.id}'\` names them`,
      });
    }
    const attempt = store.results.lastAttempts(plan.graph.pipeline, cell.id, { status: 'ran', limit: 1 })[0];
    const outputs = attempt === undefined ? {} : outputsOf(attempt.id, store);
    const missing = Object.keys(cell.outputs).filter(name => !isHere(outputs[name], store));
    if (attempt === undefined || missing.length > 0) {
      throw new PipeError(`${cell.id} has no ${attempt === undefined ? 'result' : `output ${missing.join(', ')}`} that could be accepted`, {
        exitCode: 1, code: 'nothing-to-accept', hint: `\`pipe run '${cell.id}'\` makes it`,
      });
    }
    const present = Object.fromEntries(Object.keys(cell.outputs).map(name => [name, outputs[name] as Artefact]));
    return [{ cell: cell.id, key: planned.actionKey, attempt: attempt.id, outputs: present }];
  });
  for (const { key, attempt, outputs } of ready) store.results.putRecord({ key, kind: 'action', attempt, outputs, accepted: reason });
  return ready.map(({ cell, key, attempt }) => ({ cell, key, attempt }));
}

const isHere = (artefact: Artefact | undefined, store: Store): boolean => artefact !== undefined && store.artefacts.present(artefact) === 'here';
