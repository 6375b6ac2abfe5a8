/** Follows `$PIPE_EVENTS` of one stage and hands on what it says; a wrong line is told once, and costs nothing else. */
import type { StageEvent } from './executor.ts';
import { LineTail } from './line-tail.ts';
import type { Redact } from './redact.ts';
import { parseStageEvent } from './stage-events.ts';

const intervalMs = 100;

export type StageUsage = Extract<StageEvent, { usage: unknown }>['usage'];

export class EventReader {
  readonly #tail: LineTail;
  readonly #redact: Redact;
  readonly #onEvent: (event: StageEvent) => void;
  readonly #onNotice: ((text: string) => void) | undefined;
  #timer: NodeJS.Timeout | null = null;
  #wrong = 0;
  #usage: StageUsage | null = null;
  #error: string | null = null;

  constructor(file: string, redact: Redact, onEvent: (event: StageEvent) => void, onNotice?: (text: string) => void) {
    this.#tail = new LineTail(file);
    this.#redact = redact;
    this.#onEvent = onEvent;
    this.#onNotice = onNotice;
    this.#schedule();
  }

  /** What the stage's process said it used, if it did. */
  get usage(): StageUsage | null {
    return this.#usage;
  }

  /** What the stage said it failed of, if it did. */
  get error(): string | null {
    return this.#error;
  }

  /** Reads what is left; to be called when the writer has ended. */
  async close(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    while (this.#read()) await new Promise<void>(resolve => setImmediate(resolve));
    const rest = this.#tail.rest();
    if (rest !== null) this.#line(rest);
    this.#tail.close();
    if (this.#wrong > 1) this.#onNotice?.(`${this.#wrong} lines of $PIPE_EVENTS were left out`);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      this.#read();
      this.#schedule();
    }, intervalMs);
    this.#timer.unref();
  }

  #read(): boolean {
    const { lines, more } = this.#tail.read();
    for (const line of lines) this.#line(line);
    return more;
  }

  #line(line: string): void {
    const event = parseStageEvent(this.#redact(line));
    if (event === null) return;
    if ('problem' in event) {
      if (this.#wrong++ === 0) this.#onNotice?.(`a line of $PIPE_EVENTS was left out: ${event.problem}`);
    } else if ('usage' in event) this.#usage = event.usage;
    else if ('error' in event) this.#error = event.error;
    else this.#onEvent(event);
  }
}
