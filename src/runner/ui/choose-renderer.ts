/** Which of the three views a run gets. */
import type { Renderer } from '../run/event.ts';
import { createNdjsonRenderer } from './ndjson.ts';
import { createPlainRenderer } from './plain.ts';
import { makeStyle } from './style.ts';
import { terminalFacts } from './terminal.ts';

export interface RendererChoice {
  readonly json: boolean;
  readonly plain: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly idColumns: number;
  /** Stage → cells that will or may run; empty when nothing will, and then Ink is not worth its start. */
  readonly waiting: ReadonlyMap<string, number>;
  readonly why: (cell: string) => readonly string[];
  readonly onStop: () => void;
  readonly onPause: ((paused: boolean) => void) | null;
}

/** Events go to stdout as data, everything for people to stderr. */
export async function chooseRenderer(choice: RendererChoice): Promise<Renderer> {
  if (choice.json) return createNdjsonRenderer(text => choice.stdout.write(text));
  const facts = terminalFacts(choice.stderr, choice.env);
  const style = makeStyle(facts.color);
  // Ink needs keys as well as a screen: without a terminal to read from, q and Ctrl-C would be lost.
  // A terminal that says it has no columns (some pseudo-terminals) has no place to draw in.
  if (facts.interactive && !choice.plain && choice.waiting.size > 0 && process.stdin.isTTY && choice.stderr.columns > 0) {
    const { createLiveRenderer } = await import('./live/live.ts');
    return createLiveRenderer({ ...choice, stream: choice.stderr, style });
  }
  return createPlainRenderer({
    write: text => choice.stderr.write(text), style, cwd: choice.cwd, now: Date.now, idColumns: choice.idColumns,
  });
}
