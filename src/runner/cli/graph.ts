import { Option } from 'commander';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { graphDot, graphMermaid, graphText } from '../report/graph-text.ts';
import { graphSvg } from '../report/graph-svg.ts';
import { stageGraph } from '../report/stage-graph.ts';
import type { CommandModule } from './context.ts';
import { addPipelineOptions } from './options.ts';
import type { PipelineOptions } from './options.ts';
import { withReading } from './session.ts';

const formats = ['text', 'mermaid', 'dot', 'json', 'svg'] as const;
type GraphFormat = (typeof formats)[number];

export const graphCommand: CommandModule = {
  name: 'graph',
  register(program, context) {
    addPipelineOptions(program.command('graph').description('draw the stages, with how many cells are fresh, stale or failed').argument('[file]'))
      .addOption(new Option('--format <format>', 'how to draw').choices(formats).default('text'))
      .action(async (file: string | undefined, options: PipelineOptions & { format: GraphFormat }) => {
        await withReading(file === undefined ? [] : [file], options, context, ({ plan, graph }) => {
          const stages = stageGraph(graph, plan);
          const style = makeStyle(terminalFacts(context.stdout, context.env).color);
          switch (options.json ? 'json' : options.format) {
            case 'text':
              context.stdout.write(graphText(stages, style));
              for (const stage of graph.inactive) context.stdout.write(style.dim(`${stage.name}  inactive (when: ${stage.when})\n`));
              break;
            case 'mermaid':
              context.stdout.write(graphMermaid(stages));
              break;
            case 'dot':
              context.stdout.write(graphDot(stages));
              break;
            case 'svg':
              context.stdout.write(graphSvg(stages));
              break;
            case 'json':
              context.stdout.write(`${JSON.stringify({ pipeline: graph.pipeline, ...stages, inactive: graph.inactive })}\n`);
              break;
          }
        });
      });
  },
};
