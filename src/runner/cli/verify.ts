/** `pipe verify TARGET`: runs fresh cells again in clean folders and says whether they make the same. Replaces nothing. */
import { InvalidArgumentError } from 'commander';
import { PipeError } from '../diagnostic.ts';
import { selectCells } from '../pipeline/target.ts';
import type { Plan } from '../plan/model.ts';
import { makePlan } from '../plan/planner.ts';
import type { RunEvent } from '../run/event.ts';
import type { VerifyRequest } from '../run/verify-outputs.ts';
import type { Store } from '../store/store.ts';
import type { OutputComparison } from '../store/verifications.ts';
import { plural } from '../ui/format.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets, positiveInteger } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { runOnce } from './run-once.ts';
import { backendChoice, openSession } from './session.ts';

interface VerifyOptions extends PipelineOptions {
  readonly jobs?: number;
  readonly tolerance?: number;
  readonly backend?: string;
  readonly plain?: boolean;
}

export const verifyCommand: CommandModule = {
  name: 'verify',
  register(program, context) {
    addPipelineOptions(program.command('verify').description('run fresh cells again in clean folders, and compare what they make with what is recorded').argument('<target...>'))
      .option('--tolerance <number>', 'let values in outputs of kind metrics differ so far: absolute below 1, else relative', tolerance)
      .option('-j, --jobs <n>', 'how many cells at once; as many as there are cores unless said', positiveInteger)
      .option('--backend <name>', `tensors: ${context.backends.names.join(', ')} (or PIPE_BACKEND)`)
      .option('--plain', 'plain lines, though this is a terminal')
      .action((words: string[], options: VerifyOptions) => verify(words, options, context));
  },
};

function tolerance(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError('It must be a number from 0, such as 1e-6.');
  return value;
}

async function verify(words: readonly string[], options: VerifyOptions, context: CliContext): Promise<void> {
  const { targets } = fileAndTargets(words, options.file);
  if (targets.length === 0) throw new PipeError('pipe verify takes targets', { exitCode: 2, code: 'usage', hint: 'a target is a stage such as train, or a cell such as train[size=d32l2,seed=1]' });
  const backend = backendChoice(options.backend, context);
  const session = await openSession(words.filter(word => !targets.includes(word)), options, context, { mode: 'write', force: 'none', backend });
  try {
    const { graph, store, platform } = session;
    const requests = verifyRequests(session.plan, store, selectCells(graph, targets), options.tolerance ?? null);
    const cells = new Set(requests.keys());
    const plan = makePlan({ graph, store, targets: cells, force: cells, platform, packageRoot: context.packageRoot, environment: context.env });
    const lines: string[] = [];
    const onEvent = (event: RunEvent): void => {
      if (event.event !== 'cell.finished' || event.verification === undefined) return;
      const { attempt, deterministic, outputs } = event.verification;
      lines.push(`${event.cell}: ${deterministic ? 'the same as' : 'not the same as'} attempt ${attempt}`, ...outputs.map(outputLine));
    };
    context.exit(await runOnce({ ...session, plan }, { ...options, keepGoing: true, backend }, context, { verify: requests, onEvent }));
    if (!options.json) context.stdout.write(lines.map(line => `${line}\n`).join(''));
  } finally {
    session.store.close();
  }
}

const outputLine = ({ output, how, text }: OutputComparison): string =>
  `  ${output}  ${how === 'same' ? 'the same bytes' : how === 'tolerated' ? `within the tolerance: ${text ?? ''}` : text ?? 'different'}`;

/** What each cell is to be compared with: the result that makes it fresh. */
function verifyRequests(plan: Plan, store: Store, cells: ReadonlySet<number>, metricTolerance: number | null): Map<number, VerifyRequest> {
  const requests = new Map<number, VerifyRequest>();
  const stale: string[] = [];
  for (const index of cells) {
    const planned = plan.cells[index]!;
    if (planned.state === 'stopped') continue;
    const key = planned.actionKey;
    // An `always` cell is never fresh, and may well have made what it would make now.
    const always = plan.graph.cells[index]!.settings.always && key !== null;
    const record = planned.state === 'fresh' ? planned.record : always ? store.results.lookup(key) : null;
    if (record === null || key === null) stale.push(plan.graph.cells[index]!.id);
    else requests.set(index, { key, attempt: record.attempt, outputs: record.outputs, tolerance: metricTolerance });
  }
  if (stale.length > 0 || requests.size === 0) {
    const what = stale.length === 0 ? 'what was named was stopped by a halving' : stale.length === 1 ? `${stale[0]} is not fresh` : `${plural(stale.length, 'cell')} are not fresh: ${stale.slice(0, 5).join(', ')}${stale.length > 5 ? ', …' : ''}`;
    throw new PipeError(`${what}: there is nothing to compare with`, {
      exitCode: 1, code: 'not-fresh', hint: stale.length === 0 ? '`pipe status` shows what was' : `\`pipe run '${stale[0]}'\` makes it`,
    });
  }
  return requests;
}
