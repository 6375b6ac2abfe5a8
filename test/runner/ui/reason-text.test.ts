import { expect, test } from 'vitest';
import type { CellGraph } from '../../../src/runner/pipeline/model.ts';
import type { Reason } from '../../../src/runner/plan/model.ts';
import { reasonText } from '../../../src/runner/ui/reason-text.ts';

const graph = { cells: [{ id: 'train[seed=1]' }] } as unknown as CellGraph;
const text = (reason: Reason): string => reasonText(reason, {
  graph, cwd: '/project', locate: origin => (origin.kind === 'file' ? { file: origin.file, line: 12, column: 3, length: 1 } : null),
});
const file = { kind: 'file', file: '/project/pipe.yaml', pointer: '/params/context' } as const;

test.each<[Reason, string]>([
  [{ kind: 'part-changed', part: 'with.context', before: 16, after: 24, origins: [file] }, 'with.context changed: 16 → 24 (pipe.yaml:12:3)'],
  [{ kind: 'part-changed', part: 'with.rate', before: 0.1, after: 1e9, origins: [{ kind: 'command-line', text: '--set rate=1e9' }] }, 'with.rate changed: 0.1 → 1e9 (--set rate=1e9)'],
  [{
    kind: 'part-changed', part: 'run', origins: [],
    before: { argv: false, command: ['wc ', { in: 'x' }] }, after: { argv: false, command: ['wc -l ', { in: 'x' }] },
  }, 'the command changed: wc ${in.x} → wc -l ${in.x}'],
  [{ kind: 'part-changed', part: 'with.input', before: { a: 1, b: 2, c: 3 }, after: { a: 1, b: 3, d: 4 }, origins: [] }, 'with.input changed: b 2 → 3, c 3 → none, d none → 4'],
  [{ kind: 'code-changed', file: 'src/text.ts', change: 'edited', chain: ['stages/a.ts', 'src/text.ts'] }, 'code: src/text.ts edited (stages/a.ts → src/text.ts)'],
  [{ kind: 'package-changed', name: 'zod', before: '4.0.0', after: null }, 'package zod: 4.0.0 → not there'],
  [{ kind: 'upstream', input: 'model', cell: 0 }, 'input model comes from train[seed=1]'],
  [{ kind: 'failed-before', attempt: 3, message: 'no\u001b[31m\nmore' }, 'failed before (attempt 3): no'],
  [{ kind: 'ignored', part: 'with.log_every', before: 1, after: 2 }, 'with.log_every changed and is left out of the key: 1 → 2'],
])('%j', (reason, expected) => expect(text(reason)).toBe(expected));

test('of two long texts the part around the first difference is shown', () => {
  const long = 'x'.repeat(200);
  const shown = text({ kind: 'part-changed', part: 'with.text', before: `${long}A${long}`, after: `${long}B${long}`, origins: [] });
  expect(shown).toContain('…xxxxxxxxxxxxA');
  expect(shown).toContain('…xxxxxxxxxxxxB');
  expect(shown.length).toBeLessThan(200);
});
