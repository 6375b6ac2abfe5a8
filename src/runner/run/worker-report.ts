/** The `report` of a typed stage: lines for the file that the driver follows. A leaf. */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Report } from '../../stage.ts';

const flushBytes = 64 * 1024;
const flushMs = 50;

export interface EventWriter {
  readonly report: Report;
  write(event: object): void;
  close(): void;
}

/**
 * Lines are gathered for some milliseconds. A stage that computes without a pause lets no timer fire, so the time is
 * looked at with each line as well.
 */
export function openEventWriter(file: string): EventWriter {
  const descriptor = openSync(file, 'a');
  let lines = '';
  let flushedAt = performance.now();
  let timer: NodeJS.Timeout | null = null;
  const flush = (): void => {
    if (timer) clearTimeout(timer);
    timer = null;
    flushedAt = performance.now();
    if (lines === '') return;
    const bytes = Buffer.from(lines);
    lines = '';
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  };
  const write = (event: object): void => {
    lines += `${JSON.stringify(event)}\n`;
    if (lines.length > flushBytes || performance.now() - flushedAt > flushMs) return flush();
    timer ??= setTimeout(flush, flushMs).unref();
  };
  return {
    report: {
      metric: (metric, value, step) => write({ metric, value: Number.isFinite(value) ? value : String(value), step }),
      progress: (progress, detail) => write({ progress: finite(progress), ...detail }),
      note: note => write({ note }),
      platform: platform => write({ platform }),
      resumed: resumed => write({ resumed }),
    },
    write,
    close() {
      flush();
      closeSync(descriptor);
    },
  };
}

/** A share of nothing (0 / 0) counts as none. */
const finite = (fraction: number): number => (Number.isFinite(fraction) ? fraction : 0);
