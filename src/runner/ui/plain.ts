/** One line when a stage starts and one when it ends, with elapsed time: for pipes, build logs and dumb terminals. */
import type { Renderer } from '../run/event.ts';
import { formatClock } from './format.ts';
import { isHere } from './host.ts';
import { createFreshGroups } from './fresh-groups.ts';
import type { Finished } from './fresh-groups.ts';
import { asideLines, failureBlock, finishedLine, freshGroupLine, headingLine, summaryLine } from './lines.ts';
import type { Style } from './style.ts';
import { padStart } from './width.ts';

export interface PlainOptions {
  readonly write: (text: string) => void;
  readonly style: Style;
  readonly cwd: string;
  /** Milliseconds, for the elapsed time. */
  readonly now: () => number;
  /** Width of the column of cell ids. */
  readonly idColumns: number;
}

export function createPlainRenderer(options: PlainOptions): Renderer {
  const { style, cwd, idColumns } = options;
  const began = options.now();
  const fresh = createFreshGroups();
  let quiet = false;

  const print = (lines: readonly string[]): void => {
    if (lines.length === 0) return;
    const elapsed = style.dim(padStart(formatClock(options.now() - began), 7));
    for (const line of lines) options.write(`${elapsed}  ${line}\n`);
  };
  const printFresh = (group: readonly Finished[]): void => {
    const [first] = group;
    if (first === undefined || quiet) return;
    print([group.length === 1 ? finishedLine(first, style, idColumns) : freshGroupLine(first.stage, group.length, style, idColumns)]);
  };

  return {
    handle(event) {
      if (event.event === 'cell.finished' && event.status === 'fresh') {
        printFresh(fresh.add(event));
        return;
      }
      if (event.event === 'run.planned' || event.event === 'run.finished' || event.event.startsWith('cell.') || event.event === 'notice') {
        if (event.event !== 'cell.progress') printFresh(fresh.flush());
      }
      switch (event.event) {
        case 'run.planned':
          // With nothing to run the last line says it all.
          quiet = event.toRun + event.pending === 0;
          if (!quiet) options.write(`${headingLine(event, style)}\n`);
          break;
        case 'cell.started': {
          const where = isHere(event.host) ? '' : ` on ${event.host}`;
          const again = event.try > 1 ? `, try ${event.try}` : '';
          const gpus = event.gpus.length > 0 ? `, gpu ${event.gpus.join('+')}` : '';
          print([`${style.accent('●')} ${event.cell} started${where} (cpu ${event.cpu}${gpus}${again})`]);
          break;
        }
        case 'cell.finished':
          print([finishedLine(event, style, idColumns)]);
          if (event.status === 'failed') for (const line of failureBlock(event, style, cwd)) options.write(`${line}\n`);
          break;
        case 'run.finished':
          options.write(`${summaryLine(event, style)}\n`);
          break;
        default:
          print(asideLines(event, style));
      }
    },
    close: async () => {},
  };
}
