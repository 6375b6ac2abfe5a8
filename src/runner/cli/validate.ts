import { plural } from '../ui/format.ts';
import { shownPath } from '../ui/lines.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import type { CommandModule } from './context.ts';
import { loadPipelineOf } from './load-pipeline.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';

export const validateCommand: CommandModule = {
  name: 'validate',
  register(program, context) {
    addPipelineOptions(program.command('validate').description('check a pipeline file; every mistake is shown').argument('[file]'))
      .action(async (file: string | undefined, options: PipelineOptions) => {
        const { graph } = await loadPipelineOf(file === undefined ? [] : [file], options, context);
        if (options.json) {
          const stages = graph.stages.map(stage => ({ name: stage.name, summary: stage.summary, cells: stage.count }));
          context.stdout.write(`${JSON.stringify({ ok: true, pipeline: graph.pipeline, file: graph.file, stages, inactive: graph.inactive })}\n`);
          return;
        }
        const style = makeStyle(terminalFacts(context.stdout, context.env).color);
        const inactive = graph.inactive.length > 0 ? `, ${graph.inactive.length} inactive` : '';
        context.stdout.write(
          `${style.good('✓')} ${shownPath(graph.file, context.cwd)}: ${plural(graph.stages.length, 'stage')}${inactive}, ${plural(graph.cells.length, 'cell')}\n`,
        );
      });
  },
};
