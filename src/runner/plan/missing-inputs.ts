import { PipeError } from '../diagnostic.ts';
import { shownInProject } from './manifest.ts';
import type { PlanState } from './plan-state.ts';

/** Files that cells will read are looked for now, all of them, and not when a cell is reached. Throws PipeError (exit 2). */
export function refuseMissingInputs({ context: { graph, reader }, decisions }: PlanState, selected: ReadonlySet<number>): void {
  const missing = new Map<string, string>();
  for (const index of selected) {
    const { state } = decisions[index]!;
    if (state === 'fresh' || state === 'stopped') continue;
    const cell = graph.cells[index]!;
    for (const [name, input] of Object.entries(cell.inputs)) {
      if (input.kind !== 'path' || !reader.pathInput(input).missing) continue;
      const where = `${graph.stages[cell.stage]!.name}.in.${name}`;
      missing.set(where, `${where}: ${input.glob ? `no file matches ${input.path}` : `there is no ${shownInProject(input.path, graph.root)}`}`);
    }
  }
  if (missing.size === 0) return;
  throw new PipeError([...missing.values()].join('\n'), {
    exitCode: 2, code: 'missing-input', hint: `paths in \`in:\` are relative to the project root, ${graph.root}`,
  });
}
