import { expect, test } from 'vitest';
import type { RunEvent } from '../../../src/runner/run/event.ts';
import { createPlainRenderer } from '../../../src/runner/ui/plain.ts';
import { createNdjsonRenderer } from '../../../src/runner/ui/ndjson.ts';
import { makeStyle } from '../../../src/runner/ui/style.ts';

const planned = (counts: { fresh: number; toRun: number; pending: number }): RunEvent => ({
  event: 'run.planned', run: 3, pipeline: 'scaling', profile: 'demo', cells: counts.fresh + counts.toRun + counts.pending,
  stopped: 0, estimateMs: counts.toRun > 0 ? 180_000 : null, dry: false, ...counts,
});
const finished = (cell: string, status: 'ran' | 'fresh' | 'failed', more: Partial<Extract<RunEvent, { event: 'cell.finished' }>> = {}): RunEvent => ({
  event: 'cell.finished', cell, stage: cell.replace(/\[.*/, ''), status, durationMs: status === 'fresh' ? 0 : 41_000, key: 'a1b2c3d4e5', attempt: 1, summary: null, ...more,
});
const ended = (counts: Partial<Extract<RunEvent, { event: 'run.finished' }>>): RunEvent => ({
  event: 'run.finished', run: 3, ran: 0, fresh: 0, failed: 0, skipped: 0, stopped: 0, tainted: 0, interrupted: 0, durationMs: 123_000, exitCode: 0, report: null, ...counts,
});

function render(events: readonly RunEvent[]): string {
  let text = '';
  let at = 0;
  const renderer = createPlainRenderer({ write: part => { text += part; }, style: makeStyle(false), cwd: '/project', now: () => (at += 1000), idColumns: 14 });
  for (const event of events) renderer.handle(event);
  return text;
}

test('one line when a stage starts and one when it ends, and rows of fresh cells in one', () => {
  expect(render([
    planned({ fresh: 4, toRun: 1, pending: 2 }),
    finished('download', 'fresh', { summary: '4,645 images' }),
    finished('train[seed=1]', 'fresh'), finished('train[seed=2]', 'fresh'), finished('train[seed=3]', 'fresh'),
    { event: 'cell.started', cell: 'evaluate', stage: 'evaluate', attempt: 9, try: 1, host: 'local', cpu: 2, gpus: [], log: '/l', at: 0 },
    { event: 'cell.progress', cell: 'evaluate', fraction: 0.5 },
    { event: 'metric', cell: 'evaluate', name: 'loss', value: 2 },
    finished('evaluate', 'ran', { summary: 'loss 2.913' }),
    { event: 'notice', level: 'warning', text: 'the disk\u001b[31m is nearly full' },
    ended({ ran: 1, fresh: 4 }),
  ])).toBe([
    'scaling · profile demo · 7 cells: 4 fresh, 1 to run, 2 that depend on it · about 3 min (from history)',
    '   0:01  ✓ download       fresh   a1b2c3    4,645 images',
    '   0:02  ✓ train ×3       fresh',
    '   0:03  ● evaluate started (cpu 2)',
    '   0:04  ✓ evaluate       ran     41 s      loss 2.913',
    '   0:05  warning the disk is nearly full',
    '✓ 1 ran, 4 fresh · 2 min 3 s', '',
  ].join('\n'));
});

test('a failed stage says what failed, the end of its log, where everything is and how to run it again', () => {
  expect(render([
    planned({ fresh: 0, toRun: 1, pending: 0 }),
    finished('train', 'failed', { message: 'it ended with exit code 3', cause: 'exit', tail: ['Traceback:', 'ValueError: \u001b[1mno'], log: '/project/cache/logs/1.log', folder: '/project/cache/work/a b-1' }),
    ended({ failed: 1, skipped: 2, exitCode: 1 }),
  ]).split('\n').slice(2)).toEqual([
    'train failed: it ended with exit code 3', '  │ Traceback:', '  │ ValueError: no', '  log     cache/logs/1.log', '  folder  cache/work/a b-1',
    "  again   sh 'cache/work/a b-1/run.sh'", '✗ 1 failed, 2 skipped · 2 min 3 s', '',
  ]);
});

test('a run with nothing to do says so in one line', () => {
  expect(render([planned({ fresh: 2, toRun: 0, pending: 0 }), finished('a', 'fresh'), finished('b', 'fresh'), ended({ fresh: 2 })])).toBe('✓ nothing to run: 2 cells fresh\n');
});

test('NDJSON is the events themselves, one a line', () => {
  let text = '';
  const events = [planned({ fresh: 0, toRun: 1, pending: 0 }), finished('a', 'ran', { summary: 'two\nlines' }), ended({ ran: 1 })];
  const renderer = createNdjsonRenderer(part => { text += part; });
  for (const event of events) renderer.handle(event);
  expect(text.trimEnd().split('\n').map(line => JSON.parse(line) as RunEvent)).toEqual(events);
});
