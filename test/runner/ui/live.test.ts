import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../../src/runner/run/event.ts';
import { progressBar, sparkline } from '../../../src/runner/ui/bars.ts';
import { liveRows } from '../../../src/runner/ui/live/rows.ts';
import type { LiveExtras } from '../../../src/runner/ui/live/rows.ts';
import { applyEvent, createLiveState } from '../../../src/runner/ui/live/state.ts';
import { makeStyle } from '../../../src/runner/ui/style.ts';
import { textWidth } from '../../../src/runner/ui/width.ts';

const idle: LiveExtras = { paused: false, stopping: 'no', panel: null, canPause: false };
const started = (cell: string, at = 0, tries = 1): RunEvent => ({
  event: 'cell.started', cell, stage: cell.replace(/\[.*/, ''), attempt: 1, try: tries, host: 'local', cpu: 2, gpus: [], log: '/l', at,
});
const rowsOf = (events: readonly RunEvent[], waiting: Record<string, number>, size: { columns: number; maxRows: number; now?: number }, extras = idle): string[] => {
  const state = createLiveState(new Map(Object.entries(waiting)));
  for (const event of events) applyEvent(state, event);
  return liveRows(state, extras, { now: 20_000, ...size }, makeStyle(false));
};

describe('the live region', () => {
  const training: RunEvent[] = [
    started('train[seed=1]'),
    { event: 'metric', cell: 'train[seed=1]', name: 'learning_rate', value: 0.1, step: 1 },
    { event: 'metric', cell: 'train[seed=1]', name: 'loss', value: 4, step: 1 },
    { event: 'metric', cell: 'train[seed=1]', name: 'loss', value: 3.01, step: 320 },
    { event: 'cell.progress', cell: 'train[seed=1]', fraction: 0.64, step: 320, total: 500, rate: 1820.4, unit: 'pairs' },
  ];

  test('a running stage shows bar, step, loss, rate, time left and what it holds', () => {
    expect(rowsOf(training, { train: 1, evaluate: 3, fit: 1 }, { columns: 140, maxRows: 20 })).toEqual([
      '● train[seed=1]  ███████░░░░░  64 %  step 320/500  loss 3.010  1,820 pairs/s  0:11 left  cpu 2',
      '○ evaluate ×3  ○ fit',
      expect.stringMatching(/^train loss █▁ {2}1 running · 4 waiting +w why · l log · q stop$/),
    ]);
  });

  test('nothing is wider than the terminal, and the bar is the last to go', () => {
    for (const columns of [20, 40, 60, 80, 100]) {
      const rows = rowsOf(training, { train: 1, evaluate: 3 }, { columns, maxRows: 20 });
      for (const row of rows) expect(textWidth(row)).toBeLessThanOrEqual(columns);
      if (columns >= 40) expect(rows[0]).toContain('███████░░░░░');
    }
  });

  test('never more rows than there is room for, and those left out are counted', () => {
    const many = Array.from({ length: 40 }, (_, i) => started(`train[seed=${i}]`));
    const rows = rowsOf(many, { train: 40, fit: 1 }, { columns: 100, maxRows: 10 });
    expect(rows).toHaveLength(10);
    expect(rows[7]).toBe('  … and 33 more running');
    expect(rowsOf(many, { train: 40 }, { columns: 100, maxRows: 10 }, { ...idle, panel: { title: 'log', lines: Array.from({ length: 50 }, () => 'x') } })).toHaveLength(10);
  });

  test('cells that end leave, retries count once, fresh ones were never running', () => {
    const state = createLiveState(new Map([['train', 3]]));
    const finish = (cell: string, status: 'ran' | 'fresh'): RunEvent => ({ event: 'cell.finished', cell, stage: 'train', status, durationMs: 1, key: null, attempt: 1, summary: null });
    for (const event of [started('train[seed=1]'), started('train[seed=1]', 5, 2), started('train[seed=2]'), finish('train[seed=1]', 'ran'), finish('train[seed=3]', 'fresh')]) applyEvent(state, event);
    expect([...state.running.keys()]).toEqual(['train[seed=2]']);
    expect(state.waiting.size).toBe(0);
    expect([state.done, state.fresh]).toEqual([1, 1]);
  });

  test('a long curve stays short in memory and keeps its shape', () => {
    const state = createLiveState(new Map());
    applyEvent(state, started('train'));
    for (let step = 0; step < 100_000; step++) applyEvent(state, { event: 'metric', cell: 'train', name: 'loss', value: step, step });
    const curve = state.running.get('train')?.curve ?? [];
    expect(curve.length).toBeLessThanOrEqual(256);
    expect(curve).toEqual(curve.toSorted((a, b) => a - b));
    expect(curve.at(-1)).toBeGreaterThan(90_000);
  });

  test('a paused run says so, and how it goes on', () => {
    const foot = (extras: LiveExtras): string => rowsOf(training, { train: 1 }, { columns: 140, maxRows: 20 }, extras).at(-1)!;
    expect(foot({ ...idle, canPause: true })).toMatch(/1 running.* p pause · w why/);
    expect(foot({ ...idle, canPause: true, paused: true })).toMatch(/paused · 1 running.* p go on · w why/);
  });

  test('what a stage says cannot move the cursor', () => {
    const rows = rowsOf([started('a'), { event: 'note', cell: 'a', text: 'x\u001b[2Jy\u0007' }], {}, { columns: 80, maxRows: 5 });
    expect(rows[0]).toContain('xy·');
    expect(rows.join('')).not.toMatch(/[\u0007\u001b]/);
  });
});

test('bars and curves of characters', () => {
  expect([progressBar(0, 4), progressBar(0.5, 4), progressBar(1, 4), progressBar(Number.NaN, 4), progressBar(7, 4)]).toEqual(['░░░░', '██░░', '████', '░░░░', '████']);
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█');
  expect(sparkline([0, 0, 7, 7], 2)).toBe('▁█');
  expect(sparkline([1, Number.NaN, 2], 3)).toBe('▁ █');
  expect(sparkline([], 3)).toBe('');
});
