/**
 * The live view of a run in a terminal. Loads Ink, so it is imported only when a cell will really run. Events only
 * change the state; the screen is drawn once a second, and soon after a cell begins or ends, which leaves the processor
 * to the stages.
 */
import type { Renderer, RunEvent } from '../../run/event.ts';
import { createFreshGroups } from '../fresh-groups.ts';
import type { Finished } from '../fresh-groups.ts';
import { asideLines, failureBlock, finishedLine, freshGroupLine, headingLine, summaryLine } from '../lines.ts';
import type { Style } from '../style.ts';
import { logTail } from '../../run/log-file.ts';
import { liveRows } from './rows.ts';
import type { LiveExtras } from './rows.ts';
import { applyEvent, createLiveState } from './state.ts';
import type { Frame } from './view.tsx';

export interface LiveOptions {
  readonly stream: NodeJS.WriteStream;
  readonly style: Style;
  readonly cwd: string;
  readonly idColumns: number;
  /** Stage → cells that will or may run. */
  readonly waiting: ReadonlyMap<string, number>;
  /** Why this cell runs, for the `w` key. */
  readonly why: (cell: string) => readonly string[];
  /** `q` and Ctrl-C: the first asks, the second ends. */
  readonly onStop: () => void;
  /** `p`: null where the scheduler cannot pause. */
  readonly onPause: ((paused: boolean) => void) | null;
}

const frameMs = 1000;
/** After the beginning or the end of a cell: many of them together make one picture. */
const soonMs = 200;

export async function createLiveRenderer(options: LiveOptions): Promise<Renderer> {
  const { mountLiveView } = await import('./view.tsx');
  const { style, stream } = options;
  const state = createLiveState(options.waiting);
  const fresh = createFreshGroups();
  const done: string[] = [];
  let panel: 'none' | 'log' | 'why' = 'none';
  let paused = false;
  let stopping: LiveExtras['stopping'] = 'no';
  let ended = false;
  let frame: Frame = { done: [], rows: [] };
  const listeners = new Set<() => void>();

  const finish = (group: readonly Finished[]): void => {
    const [first] = group;
    if (first === undefined) return;
    done.push(group.length === 1 ? finishedLine(first, style, options.idColumns) : freshGroupLine(first.stage, group.length, style, options.idColumns));
  };

  const openPanel = (): LiveExtras['panel'] => {
    const cell = [...state.running.values()].at(-1);
    if (panel === 'none' || cell === undefined) return null;
    return panel === 'log'
      ? { title: `log of ${cell.cell} (${cell.log})`, lines: logTail(cell.log, 12) }
      : { title: `why ${cell.cell} runs`, lines: options.why(cell.cell) };
  };

  let soon: NodeJS.Timeout | null = null;

  const draw = (): void => {
    if (soon !== null) clearTimeout(soon);
    soon = null;
    const extras: LiveExtras = { paused, stopping, panel: openPanel(), canPause: options.onPause !== null };
    const size = { now: Date.now(), columns: stream.columns ?? 80, maxRows: Math.max(3, (stream.rows ?? 24) - 2) };
    frame = { done: done.slice(), rows: ended ? [] : liveRows(state, extras, size, style) };
    for (const listener of listeners) listener();
  };

  const onKey = (key: string): void => {
    if (key === 'interrupt' || key === 'q') {
      stopping = stopping === 'no' ? 'asked' : 'killed';
      options.onStop();
    } else if (key === 'l') panel = panel === 'log' ? 'none' : 'log';
    else if (key === 'w') panel = panel === 'why' ? 'none' : 'why';
    else if (key === 'escape') panel = 'none';
    else if (key === 'p' && options.onPause !== null && stopping === 'no') {
      paused = !paused;
      options.onPause(paused);
    } else return;
    draw();
  };

  const drawSoon = (): void => {
    soon ??= setTimeout(draw, soonMs);
  };

  const source = {
    subscribe: (listener: () => void): (() => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    current: (): Frame => frame,
  };
  const view = mountLiveView(stream, source, onKey);
  const timer = setInterval(draw, frameMs);

  const handle = (event: RunEvent): void => {
    if (event.event === 'cell.finished' && event.status === 'fresh') {
      applyEvent(state, event);
      finish(fresh.add(event));
      return;
    }
    if (event.event === 'cell.started' || event.event === 'cell.finished' || event.event === 'run.finished') finish(fresh.flush());
    applyEvent(state, event);
    if (event.event === 'cell.started' || event.event === 'cell.finished') drawSoon();
    switch (event.event) {
      case 'run.planned':
        done.push(headingLine(event, style));
        break;
      case 'cell.finished':
        done.push(finishedLine(event, style, options.idColumns));
        if (event.status === 'failed') done.push(...failureBlock(event, style, options.cwd));
        break;
      case 'run.finished':
        done.push(summaryLine(event, style));
        break;
      default:
        done.push(...asideLines(event, style));
    }
  };

  return {
    handle,
    close: async () => {
      clearInterval(timer);
      finish(fresh.flush());
      ended = true;
      draw();
      // React takes the last picture in after this turn; unmounting at once would lose it.
      await new Promise(resolve => setImmediate(resolve));
      await view.unmount();
    },
  };
}
