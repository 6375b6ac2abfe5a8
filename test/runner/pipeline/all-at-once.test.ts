/** Every mistake of a file is said, and nothing that only follows from another one. */
import { expect, test } from 'vitest';
import { mistakes } from './rig/files.ts';

const said = async (text: string): Promise<string[]> => (await mistakes(`pipeline: demo\n${text}`)).map(({ code, position }) => `${position?.line}:${position?.column} ${code}`);

test('a stage with a wrong setting is checked in all else', async () => {
  expect(await said(`params: { a: 1 }
stages:
  one:
    run: echo \${params.b} > \${out.x}
    out: { x: x.txt }
    timeout: [6h]
    needs: two
    resources: { cpu: many }
`)).toEqual(['5:15 unknown-param', '7:14 wrong-type', '8:12 wrong-type', '9:23 wrong-type']);
});

test('a stage whose points are not known is checked in all that does not need them', async () => {
  expect(await said(`params: { sizes: [1, 2] }
stages:
  one:
    run: echo \${matrix.size} \${params.b} \${in.nothing}
    matrix: { axes: { size: "\${params.sizs}", seed: { from: 2, to: 1 } } }
    timeout: soon
  two:
    each: one
    run: echo \${params.c}
`)).toEqual(['5:30 unknown-param', '5:42 unknown-input', '6:30 unknown-param', '6:53 empty-axis', '7:14 wrong-type', '10:15 unknown-param']);
});

test('what cannot be read does not make others wrong', async () => {
  // Neither the reference to `one.x`, nor ${in.a}, nor the axis of `two` is a mistake of its own.
  expect(await said(`stages:
  one:
    run: touch \${out.x}
    out: { x: { path: x.txt, kind: fil } }
  two:
    run: cat \${in.a} \${in.b} \${matrix.n}
    in: { a: one.x, b: { from: one.x } }
    matrix: [1, 2]
  three:
    run: [cat, "\${in.x}"]
    in: [one.x]
  four:
    run: { cmd: ls }
    out: { y: y.txt }
  five:
    run: cat \${in.y}
    in: { y: four.y }
`)).toEqual(['5:36 wrong-type', '8:24 wrong-type', '9:13 wrong-type', '12:9 wrong-type', '14:10 wrong-type']);
});

test('an item of a list that is none of the words is marked itself', async () => {
  const [mistake, ...others] = await mistakes('pipeline: demo\nstages:\n  a:\n    run: "true"\n    retries: { times: 1, on: [oom, timout] }\n');
  expect(others).toEqual([]);
  expect(mistake).toMatchObject({ message: expect.stringContaining('`on[1]` must be one of exit, oom, preempted, timeout') as string, hint: 'did you mean `timeout`?', position: { line: 5, column: 36, length: 6 } });
});
