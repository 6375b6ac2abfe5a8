import type { Explanation } from '../plan/model.ts';
import { locate } from '../pipeline/positions.ts';
import { selectOneCell } from '../pipeline/target.ts';
import { explain } from '../plan/explain.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { whyText } from '../ui/why-text.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions, fileAndTargets, onlyTarget } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';

export const whyCommand: CommandModule = {
  name: 'why',
  register(program, context) {
    addPipelineOptions(program.command('why').description('show why a cell would run: what changed, from what to what, and where it is set').argument('<target...>'))
      .action(async (words: string[], options: PipelineOptions) => {
        const target = onlyTarget(fileAndTargets(words, options.file).targets, 'why');
        // The whole plan, since the cause may lie anywhere upstream.
        const files = words.filter(word => word !== target);
        await withReading(files, options, context, ({ plan, store, graph }) => {
          const cell = selectOneCell(graph, target);
          const explanation = explain(plan, cell, store);
          const state = plan.cells[cell]?.state ?? 'fresh';
          if (options.json) {
            context.stdout.write(`${JSON.stringify(toJson(explanation, state, index => graph.cells[index]?.id ?? ''))}\n`);
            return;
          }
          const style = makeStyle(terminalFacts(context.stdout, context.env).color);
          context.stdout.write(whyText(explanation, state, { graph, cwd: context.cwd, locate }, style));
        });
      });
  },
};

function toJson(explanation: Explanation, state: string, idOf: (cell: number) => string): Readonly<Record<string, unknown>> {
  return {
    cell: idOf(explanation.cell),
    state,
    reasons: explanation.reasons.map(reason => {
      if (reason.kind === 'upstream') return { ...reason, cell: idOf(reason.cell) };
      if (reason.kind !== 'part-changed' && reason.kind !== 'part-added') return reason;
      return { ...reason, origins: reason.origins.map(origin => (origin.kind === 'file' ? { ...origin, position: locate(origin) } : origin)) };
    }),
    nearest: explanation.nearest,
    estimateMs: explanation.estimateMs,
    accepted: explanation.accepted,
    made: explanation.made,
    manifest: explanation.manifest,
    comparedWith: explanation.comparedWith,
    because: explanation.because.map(cause => toJson(cause, '', idOf)),
  };
}
