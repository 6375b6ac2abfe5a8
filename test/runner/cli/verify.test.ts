/** `pipe verify` as a user meets it: real processes, what is recorded stays what it was. */
import { expect, test } from 'vitest';
import { makeProject } from '../../rig/pipe.ts';

const pipeline = `pipeline: v
stages:
  steady:
    run: cat \${in.x} > \${out.y}
    in: { x: ./x.txt }
    out: { y: y.txt }
  count:
    run: |
      echo run >> "$PIPE_PROJECT/runs.txt"
      mkdir \${out.all}
      echo same > \${out.all}/a.txt
      wc -l < "$PIPE_PROJECT/runs.txt" > \${out.all}/b.txt
      n=$(wc -l < "$PIPE_PROJECT/runs.txt")
      echo "{\\"metric\\":\\"loss\\",\\"value\\":2.00000$n,\\"step\\":1}" > \${out.m}
    in: { y: steady.y }
    out: { all: { path: all, kind: folder }, m: { path: m.jsonl, kind: metrics } }
  wobble:
    run: |
      echo run >> "$PIPE_PROJECT/wobbles.txt"
      n=$(wc -l < "$PIPE_PROJECT/wobbles.txt")
      echo "{\\"metric\\":\\"loss\\",\\"value\\":2.00000$n,\\"step\\":1}" > \${out.m}
    out: { m: { path: m.jsonl, kind: metrics } }
  late:
    run: cat \${in.all}/b.txt > \${out.z}
    in: { all: count.all }
    out: { z: z.txt }
`;

const sql = (project: ReturnType<typeof makeProject>, query: string): unknown => JSON.parse(project.pipe(['sql', query, '--json']).stdout);

test('compares byte for byte, records what it found, and replaces nothing', () => {
  const project = makeProject({ 'pipe.yaml': pipeline, 'x.txt': 'one\n' });
  try {
    expect(project.pipe(['verify', 'steady'])).toMatchObject({ code: 1, stderr: expect.stringContaining('steady is not fresh: there is nothing to compare with') });
    expect(project.pipe(['run']).code).toBe(0);
    const before = sql(project, 'SELECT pipeline, cell, attempt FROM current ORDER BY cell');
    const records = sql(project, 'SELECT key, attempt, outputs FROM record ORDER BY key');

    const same = project.pipe(['verify', 'steady', '--plain']);
    expect(same).toMatchObject({ code: 0, stdout: expect.stringMatching(/^steady: the same as attempt \d+\n {2}y {2}the same bytes\n$/) });
    expect(project.pipe(['show', 'steady']).stdout).toMatch(/verified +deterministic: run again .* as attempt \d+\n/);

    const other = project.pipe(['verify', 'count', 'late']);
    expect(other.code).toBe(1);
    expect(other.stderr).toMatch(/count failed: it made something else than attempt \d+: all \(b\.txt differs\); m \(44 bytes, as before; the first that differs is byte 33\)/);
    expect(other.stdout).toMatch(/count: not the same as attempt \d+\n {2}all {2}b\.txt differs\n/);
    // What reads it was compared with what was made from the recorded output.
    expect(other.stdout).toMatch(/late: the same as attempt \d+\n/);
    expect(project.pipe(['show', 'count']).stdout).toMatch(/attempt +\d+ of run 1: ran\n[\s\S]*verified +not deterministic: run again .* \(all: b\.txt differs; m: .*\)\n/);

    expect(sql(project, 'SELECT pipeline, cell, attempt FROM current ORDER BY cell')).toEqual(before);
    expect(sql(project, 'SELECT key, attempt, outputs FROM record ORDER BY key')).toEqual(records);
    expect(project.pipe(['get', 'late.z', 'z.txt']).code).toBe(0);
    expect(project.read('z.txt').trim()).toBe('1');
    expect(project.pipe(['run'])).toMatchObject({ code: 0, stderr: '✓ nothing to run: 4 cells fresh\n' });
    expect(project.pipe(['why', 'count']).stdout).toContain('count fresh');
  } finally {
    project.remove();
  }
});

test('metrics may differ within --tolerance; a wrong one is refused; --json tells each output', () => {
  const project = makeProject({ 'pipe.yaml': pipeline, 'x.txt': 'one\n' });
  try {
    project.pipe(['run']);
    expect(project.pipe(['verify', 'wobble', '--tolerance', 'much'])).toMatchObject({ code: 2 });
    const near = project.pipe(['verify', 'wobble', '--tolerance', '1e-5']);
    expect(near.code).toBe(0);
    expect(near.stdout).toMatch(/wobble: the same as attempt \d+\n {2}m {2}within the tolerance: largest difference 5e-7\n/);
    const far = project.pipe(['verify', 'wobble', '--tolerance', '1e-9', '--json']);
    expect(far.code).toBe(1);
    const finished = far.stdout.trim().split('\n').map(line => JSON.parse(line) as { event: string }).find(event => event.event === 'cell.finished');
    expect(finished).toMatchObject({
      status: 'failed', cause: 'differs', verification: { deterministic: false, tolerance: 1e-9, outputs: [{ output: 'm', how: 'different', text: 'loss at step 1 is 2.000003, and was 2.000001' }] },
    });
    expect(sql(project, 'SELECT deterministic FROM verification ORDER BY id')).toEqual([{ deterministic: 1 }, { deterministic: 0 }]);
  } finally {
    project.remove();
  }
});
