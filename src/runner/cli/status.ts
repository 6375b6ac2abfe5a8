import type { Plan } from '../plan/model.ts';
import { planText } from '../ui/plan-text.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';

export const statusCommand: CommandModule = {
  name: 'status',
  register(program, context) {
    addPipelineOptions(program.command('status').description('show what would run, and why; runs nothing').argument('[file-or-target...]'))
      .option('--check', 'exit with 1 when something is not fresh')
      .action(async (words: string[], options: PipelineOptions & { check?: boolean }) => {
        await withReading(words, options, context, ({ plan }) => {
          printPlan(plan, { json: options.json === true, dry: false }, context);
          if (options.check && plan.counts.run + plan.counts.pending > 0) context.exit(1);
        }, { lookUp: true });
      });
  },
};

/** The plan on stdout: what `status` and `run --dry` print. */
export function printPlan(plan: Plan, how: { readonly json: boolean; readonly dry: boolean }, context: Pick<CliContext, 'stdout' | 'env' | 'cwd'>): void {
  if (how.json) context.stdout.write(`${JSON.stringify(planJson(plan, how.dry))}\n`);
  else context.stdout.write(planText(plan, { style: makeStyle(terminalFacts(context.stdout, context.env).color), cwd: context.cwd, dry: how.dry }));
}

function planJson(plan: Plan, dry: boolean): Readonly<Record<string, unknown>> {
  const { graph } = plan;
  const idOf = (cell: number): string => graph.cells[cell]?.id ?? '';
  return {
    event: 'plan',
    pipeline: graph.pipeline,
    profile: graph.profile,
    dry,
    counts: plan.counts,
    estimateMs: plan.estimateMs,
    cells: plan.cells.filter(cell => plan.selected.has(cell.cell)).map(cell => ({
      cell: idOf(cell.cell),
      stage: graph.stages[graph.cells[cell.cell]?.stage ?? -1]?.name ?? '',
      point: graph.cells[cell.cell]?.point ?? {},
      state: cell.state,
      key: cell.actionKey ?? cell.record?.key ?? null,
      planKey: cell.planKey,
      attempt: cell.record?.attempt ?? null,
      accepted: cell.record?.accepted ?? null,
      reasons: cell.reasons.map(reason => (reason.kind === 'upstream' ? { ...reason, cell: idOf(reason.cell) } : reason)),
      cacheable: cell.cacheable,
      estimateMs: cell.estimateMs,
      sameAs: cell.sameAs === null ? null : idOf(cell.sameAs),
      remote: cell.remote,
    })),
    inactive: graph.inactive,
  };
}
