import { resolve } from 'node:path';
import { pagePath } from '../report/page-path.ts';
import { writePage } from '../report/write-page.ts';
import { shownPath } from '../ui/lines.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';

export const reportCommand: CommandModule = {
  name: 'report',
  register(program, context) {
    addPipelineOptions(program.command('report').description('write the page of results: tables, figures, and where each number comes from').argument('[file]'))
      .option('-o, --output <path>', 'where to write it instead of cache/report/PIPELINE.html')
      .action(async (file: string | undefined, options: PipelineOptions & { output?: string }) => {
        await withReading(file === undefined ? [] : [file], options, context, ({ plan, store, graph, cache }) => {
          const path = options.output === undefined ? pagePath(cache, graph.pipeline) : resolve(context.cwd, options.output);
          writePage(path, plan, store, { madeAt: Date.now(), program: `pipe ${context.version}` });
          const stale = plan.counts.run + plan.counts.pending;
          if (options.json) context.stdout.write(`${JSON.stringify({ path, stale })}\n`);
          else {
            context.stdout.write(`${shownPath(path, context.cwd)}\n`);
            if (stale > 0) context.stderr.write(`${stale} of ${plan.cells.length} cells are not fresh: their rows are marked\n`);
          }
        });
      });
  },
};
