/** Writes what a running attempt says into the results database, in batches, and tells it to whoever looks on. */
import type { JsonObject } from '../json.ts';
import type { Results } from '../store/results.ts';
import { isLocked } from '../store/while-locked.ts';
import type { EmitEvent } from './event.ts';
import type { StageEvent } from './executor.ts';
import type { MetricLine } from './metrics-file.ts';

const batchRows = 1000;
const batchMs = 500;
/** Notes beyond are shown and not kept: they are for people. */
const keptNotes = 100;
/** Up to so many metrics are remembered to know which lines of a metrics file say nothing new. */
const rememberedMetrics = 100_000;
const shownMetrics = 3;

export class AttemptRecorder {
  readonly #results: Results;
  readonly #attempt: number;
  readonly #cell: string;
  readonly #emit: EmitEvent;
  readonly #reported = new Set<string>();
  readonly #last = new Map<string, number>();
  #rows: MetricLine[] = [];
  #timer: NodeJS.Timeout | null = null;
  #notes = 0;
  #note: string | null = null;
  #resumed: number | null = null;
  readonly #steps: { progress: number | null; metric: number | null } = { progress: null, metric: null };
  #trouble: Error | null = null;
  readonly #unwritten: (() => void)[] = [];

  constructor(results: Results, attempt: number, cell: string, emit: EmitEvent) {
    this.#results = results;
    this.#attempt = attempt;
    this.#cell = cell;
    this.#emit = emit;
  }

  /** The step of a checkpoint it went on from. */
  get resumed(): number | null {
    return this.#resumed;
  }

  /** The last step of its progress, or that it went on from; of its metrics, which may count epochs, where there is none. */
  get step(): number | null {
    return this.#steps.progress ?? this.#steps.metric;
  }

  /** For the stage's line: its last note, else the last values of its metrics. */
  get summary(): string | null {
    if (this.#note !== null) return this.#note;
    const metrics = [...this.#last].slice(0, shownMetrics).map(([name, value]) => `${name} ${shortNumber(value)}`);
    return metrics.length === 0 ? null : metrics.join('  ');
  }

  handle(event: StageEvent): void {
    const cell = this.#cell;
    if ('metric' in event) {
      const { metric: name, value, step } = event;
      this.#steps.metric = step ?? this.#steps.metric;
      this.#add({ name, value, step: step ?? null });
      this.#emit({ event: 'metric', cell, name, value: Number.isFinite(value) ? value : String(value), ...(step === undefined ? {} : { step }) });
    } else if ('progress' in event) {
      const { progress, ...detail } = event;
      this.#steps.progress = detail.step ?? this.#steps.progress;
      this.#emit({ event: 'cell.progress', cell, fraction: progress, ...detail });
    } else if ('note' in event) {
      this.#note = event.note;
      if (this.#notes++ < keptNotes) this.#write(() => this.#results.recordNote(this.#attempt, event.note));
      this.#emit({ event: 'note', cell, text: event.note });
    } else if ('platform' in event) {
      this.platform(event.platform);
    } else if ('resumed' in event) {
      this.#resumed = event.resumed;
      this.#steps.progress = event.resumed;
      this.#write(() => this.#results.recordResume(this.#attempt, event.resumed));
      this.#emit({ event: 'cell.resumed', cell, step: event.resumed });
    }
  }

  platform(facts: JsonObject): void {
    this.#write(() => this.#results.recordPlatform(this.#attempt, facts));
    this.#emit({ event: 'platform', cell: this.#cell, facts });
  }

  /** Lines of a metrics output; what the stage has reported already is not written twice. */
  ingest(lines: readonly MetricLine[]): void {
    for (const line of lines) if (!this.#reported.has(nameOf(line))) this.#add(line);
  }

  /** Writes what is left; to be called again where it throws because the database is locked. Otherwise throws what went wrong with this or an earlier writing: then the attempt's record would not be whole. */
  finish(): void {
    this.#flush();
    for (; this.#unwritten.length > 0; this.#unwritten.shift()) this.#unwritten[0]!();
    if (this.#trouble !== null) throw this.#trouble;
  }

  #flush(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#rows.length === 0) return;
    const rows = this.#rows;
    this.#rows = [];
    this.#write(() => this.#results.recordMetrics(this.#attempt, rows));
  }

  /** Called from timers, where nobody could catch an error: it waits for the end of the attempt. What a locked database did not take is kept. */
  #write(work: () => void): void {
    this.#unwritten.push(work);
    try {
      while (this.#unwritten.length > 0) {
        this.#unwritten[0]!();
        this.#unwritten.shift();
      }
    } catch (error) {
      if (isLocked(error)) return;
      this.#unwritten.shift();
      this.#trouble ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  #add(line: MetricLine): void {
    this.#rows.push(line);
    this.#last.delete(line.name);
    this.#last.set(line.name, line.value);
    if (this.#reported.size < rememberedMetrics) this.#reported.add(nameOf(line));
    if (this.#rows.length >= batchRows) return this.#flush();
    this.#timer ??= setTimeout(() => this.#flush(), batchMs).unref();
  }
}

const nameOf = ({ name, step }: MetricLine): string => `${name}\0${step ?? ''}`;

function shortNumber(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(4)));
}
