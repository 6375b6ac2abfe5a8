import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { decide } from '../../../src/runner/run/decision.ts';
import { criticalPath } from '../../../src/runner/run/dependencies.ts';
import { nameEnd } from '../../../src/runner/run/exit-cause.ts';
import type { ProcessEnd } from '../../../src/runner/run/exit-cause.ts';
import { LineTail } from '../../../src/runner/run/line-tail.ts';
import { readMetricsFile } from '../../../src/runner/run/metrics-file.ts';
import { readProcess } from '../../../src/runner/run/process-table.ts';
import { ReadyQueue } from '../../../src/runner/run/ready-queue.ts';
import { RedactStream, redactor, secretValues } from '../../../src/runner/run/redact.ts';
import { ResourcePool } from '../../../src/runner/run/resources.ts';
import { parseStageEvent } from '../../../src/runner/run/stage-events.ts';
import { WaitingCells } from '../../../src/runner/run/waiting-cells.ts';

function temporaryFile(content = ''): string {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-parts-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'f'), content);
  return join(folder, 'f');
}

test('a file is followed line by line however it is written', () => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 30, unit: 'binary' }).map(text => text.replace(/[\r\n]/g, ''))), fc.array(fc.nat(40), { maxLength: 20 }), (lines, cuts) => {
    const file = temporaryFile();
    const tail = new LineTail(file, { maxLine: 1000, maxRead: 7 });
    const bytes = Buffer.from(lines.map(line => `${line}\n`).join(''));
    const read: string[] = [];
    let from = 0;
    const take = (): void => {
      for (let more = true; more; ) {
        const part = tail.read();
        read.push(...part.lines);
        more = part.more;
      }
    };
    for (const cut of cuts) {
      appendFileSync(file, bytes.subarray(from, from + cut));
      from += cut;
      take();
    }
    appendFileSync(file, bytes.subarray(from));
    take();
    tail.close();
    expect(read).toEqual(lines);
    expect(tail.rest()).toBeNull();
  }), { numRuns: 50 });
});

test('a huge line is cut, an unfinished one is the rest', () => {
  const file = temporaryFile(`${'x'.repeat(300_000)}\nnext\r\nlast`);
  const tail = new LineTail(file, { maxLine: 100, maxRead: 1 << 20 });
  expect(tail.read().lines).toEqual(['x'.repeat(100), 'next']);
  expect([tail.cutLines, tail.rest(), tail.rest()]).toEqual([1, 'last', null]);
  tail.close();
});

test('events: what is understood, and what is said of the rest', () => {
  expect(parseStageEvent('{"metric":"loss","value":"-Infinity"}')).toEqual({ metric: 'loss', value: -Infinity });
  expect(parseStageEvent('{"progress":7}')).toEqual({ progress: 1 });
  expect(parseStageEvent('{"resumed":12}')).toEqual({ resumed: 12 });
  expect(parseStageEvent('   ')).toBeNull();
  for (const line of ['{', '[1]', '7', 'null', '{"metric":"","value":1}', '{"metric":"a","value":null}', '{"metric":"a","value":1,"step":"x"}', '{"progress":"half"}', '{"note":1}', '{"platform":[1]}', '{"usage":null}', '{"other":1}']) {
    expect(parseStageEvent(line), line).toHaveProperty('problem');
  }
});

test('a metrics file names the line that is wrong', () => {
  expect(readMetricsFile(temporaryFile('{"metric":"a","value":1,"step":2}\n\n{"metric":"b","value":"NaN"}\n'))).toEqual([{ name: 'a', value: 1, step: 2 }, { name: 'b', value: NaN, step: null }]);
  expect(() => readMetricsFile(temporaryFile('{"metric":"a","value":1}\n{"loss":1}\n'))).toThrow(/^line 2: /);
  expect(() => readMetricsFile(temporaryFile('{"note":"x"}\n'))).toThrow(/^line 1: a metrics file/);
});

test('no secret passes a stream, however it is cut', async () => {
  await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom('hunter22', 'abcdefgh', 'hunt', 'x', '\n'), { maxLength: 40 }), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), async (words, cuts) => {
    const text = words.join('');
    const stream = new PassThrough();
    const clean = stream.pipe(new RedactStream(['hunter22', 'abcdefgh']));
    let from = 0;
    for (let i = 0; from < text.length; i++) {
      const size = cuts[i % cuts.length]!;
      stream.write(text.slice(from, from + size));
      from += size;
    }
    stream.end();
    expect((await buffer(clean)).toString()).toBe(redactor(['hunter22', 'abcdefgh'])(text));
  }), { numRuns: 100 });
  expect(secretValues(['A', 'B', 'C'], { A: 'long enough\nsecond line', B: 'abc' })).toEqual(['long enough\\nsecond line', 'long enough\nsecond line', 'long enough', 'second line']);
});

test('the end of a process in words', () => {
  const end: ProcessEnd = { exitCode: 0, signal: null, stopped: null, timeoutMs: null, outOfMemoryKill: false, tail: [] };
  expect(nameEnd(end)).toMatchObject({ ok: true, cause: null });
  expect(nameEnd({ ...end, stopped: 'cancelled' })).toMatchObject({ ok: true });
  expect(nameEnd({ ...end, exitCode: 75, stopped: 'cancelled' })).toMatchObject({ cause: 'cancelled' });
  expect(nameEnd({ ...end, exitCode: null, signal: 'SIGKILL', outOfMemoryKill: true })).toMatchObject({ cause: 'oom' });
  expect(nameEnd({ ...end, exitCode: 137, outOfMemoryKill: true })).toMatchObject({ cause: 'oom', signal: 'SIGKILL' });
  expect(nameEnd({ ...end, exitCode: 137 })).toMatchObject({ cause: 'signal' });
  expect(nameEnd({ ...end, exitCode: 134, tail: ['FATAL ERROR: JavaScript heap out of memory', ''] })).toMatchObject({ cause: 'oom' });
  expect(nameEnd({ ...end, exitCode: 0, stopped: 'timeout', timeoutMs: 120_000 })).toMatchObject({ cause: 'timeout', message: 'not done after its timeout of 2 min' });
});

test('a decision keeps the best, ties in order, and never one without a number', () => {
  const action = { kind: 'decision', metric: 'loss', mode: 'min', keep: 2, members: ['a', 'b', 'c', 'd'] } as const;
  expect(decide(action, [3, 1, NaN, 1]).survivors).toEqual(['b', 'd']);
  expect(decide({ ...action, mode: 'max' }, [3, null, 2, -Infinity]).survivors).toEqual(['a', 'c']);
  expect(decide({ ...action, keep: 3 }, [null, 2, null, null])).toMatchObject({ survivors: ['b'], scores: { a: null, b: 2, c: null, d: null } });
  expect(() => decide(action, [null, null, null, null])).toThrow(/no member .* loss/);
});

test('who has the longest way behind it starts first, ties in order', () => {
  // 0 → 2 → 3, 1 → 3; 4 alone.
  const lengths = criticalPath({ before: [[], [], [0], [2, 1], []], after: [[2], [3], [3], [], []] }, cell => [1, 5, 2, 4, 9][cell]!);
  expect([...lengths]).toEqual([7, 9, 6, 4, 9]);
  const queue = new ReadyQueue(lengths);
  for (const cell of [3, 4, 0, 2, 1]) queue.push(cell);
  expect(queue.drain()).toEqual([1, 4, 0, 2, 3]);
});

test('a cell that does not fit is passed by smaller ones, but not for ever', () => {
  const one = { cpu: 1, memory: null, gpu: 0, gpuMemory: null, named: {} } as const;
  const two = { ...one, cpu: 2 };
  const pool = new ResourcePool({ cpus: 2, memoryBytes: 1e9, gpus: [], named: {} }, 8, []);
  const waiting = new WaitingCells(Float64Array.from({ length: 20 }, (_, cell) => (cell === 19 ? 100 : 1)), 3);
  for (let cell = 0; cell < 10; cell++) waiting.add(cell, one, 'local');
  const take = () => waiting.take(resources => pool.take(resources));
  let running = [take()!, take()!];
  waiting.add(19, two, 'local');
  const order: number[] = [];
  for (let step = 0; step < 10; step++) {
    const done = running.shift();
    if (done) pool.release(done.held);
    const next = take();
    if (next) {
      order.push(next.cell);
      running.push(next);
    }
  }
  expect(order.slice(0, 4)).toEqual([2, 3, 4, 19]);
});

test('processes are read from the kernel', () => {
  const me = readProcess('self')!;
  expect(me).toMatchObject({ pid: process.pid, parent: process.ppid });
  expect(me.residentBytes).toBeGreaterThan(10e6);
  expect(readProcess(2 ** 22 + 1)).toBeNull();
});
