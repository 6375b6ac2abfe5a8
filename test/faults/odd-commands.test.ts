import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { makeProject } from '../rig/pipe.ts';
import type { Finished, TestProject } from '../rig/pipe.ts';
import { troubles } from './rig/life.ts';
import { processesOf } from './rig/processes.ts';
import { tell } from './rig/tally.ts';

interface OddCommand {
  /** As docs/running.md says it. */
  readonly does: string;
  readonly run: readonly string[];
  /** In place of one file `o`. */
  readonly out?: string;
  readonly code: 0 | 1 | null;
  readonly look: (project: TestProject, end: Finished, log: string) => void;
}

const says = (pattern: RegExp) => (_: TestProject, { stderr }: Finished): void => expect(stderr).toMatch(pattern);

const commands: readonly OddCommand[] = [
  {
    does: 'writes outside its folder', code: 0, run: ['echo outside > "$PIPE_PROJECT/outside.txt"', 'echo x > ${out.o}'],
    look(project) {
      expect(project.read('outside.txt')).toBe('outside\n');
      project.write('outside.txt', 'changed\n');
      expect(project.pipe(['run']).stderr).toMatch(/nothing to run/);
    },
  },
  { does: 'leaves an output missing', code: 1, out: '{ one: one.txt, two: two/, three: three.txt }', run: ['echo x > ${out.one}'], look: says(/the output two \(two\) was not written; the output three \(three\.txt\) was not written/) },
  {
    does: 'writes a million log lines', code: 0, run: ['seq 1000000', 'echo x > ${out.o}'],
    look(_, { stderr }, log) {
      expect(log).toBe(`${Array.from({ length: 1_000_000 }, (__, index) => index + 1).join('\n')}\n`);
      expect(stderr.length).toBeLessThan(1_000_000);
    },
  },
  {
    does: 'prints binary or terminal codes', code: 1, run: [`printf '\\033[31mred\\033[0m \\033]0;title\\007 \\000\\001\\377 \\033[2J end\\n'`, 'exit 1'],
    look(_, { stderr }, log) {
      expect(log).toContain('\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00\x01');
      expect(stderr).toMatch(/red.*end/);
      expect(stderr).not.toMatch(/[\x00-\x08\x0b-\x1f]/);
    },
  },
  { does: 'closes its stdout', code: 0, run: ['exec >&- 2>&-', 'echo x > ${out.o}'], look: () => undefined },
  {
    does: 'forks a daemon', code: 0, run: ['(setsid sleep 1000 &)', '(env -i setsid sleep 1001 > /dev/null 2>&1 &)', 'echo x > ${out.o}'],
    look(project, _, log) {
      expect(processesOf(project.folder)).toEqual([]);
      expect(log).toMatch(/\[pipe\] ended 2 processes that the stage left running/);
    },
  },
  { does: 'makes an output a symbolic link', code: 1, run: ['echo x > real', 'ln -s real ${out.o}'], look: says(/symbolic link/) },
  { does: 'makes an output a named pipe, a socket or a device', code: 1, run: ['mkfifo ${out.o}'], look: says(/neither a file nor a folder/) },
  { does: 'names paths beyond the system\'s limit for a command line', code: 1, run: [`: ${'x'.repeat(200_000)}`, 'echo x > ${out.o}'], look: says(/longer than this system allows/) },
  { does: 'stops reading its input or waits for an answer', code: 0, run: ['cat > ${out.o}', 'read answer || echo none >> ${out.o}'], look: project => expect(project.read('cache/out/p/odd/o')).toBe('none\n') },
  { does: 'removes its own folder', code: 1, run: ['rm -rf "$PIPE_FOLDER"'], look: says(/missing|not written|ENOENT|no such file/i) },
  { does: 'takes all permissions from its outputs', code: 0, run: ['echo x > ${out.o}', 'chmod 000 ${out.o} .'], look: project => expect(project.read('cache/out/p/odd/o')).toBe('x\n') },
  {
    does: 'kills `pipe`', code: null, run: ['[ -e "$PIPE_PROJECT/killed" ] || { : > "$PIPE_PROJECT/killed"; kill -9 $PPID; sleep 1000; }', 'echo x > ${out.o}'],
    look(project) {
      const next = project.pipe(['run']);
      expect(next.code, next.stderr).toBe(0);
      expect(project.read('cache/out/p/odd/o')).toBe('x\n');
    },
  },
];

test.for(commands)('a command that $does', ({ does, run, out, code, look }) => {
  const project = makeProject({});
  onTestFinished(() => project.remove());
  project.write('pipe.yaml', `pipeline: p
stages:
  odd:
    run: |
${run.map(line => `      ${line}`).join('\n')}
    out: ${out ?? '{ o: o.txt }'}
`);
  const end = project.pipe(['run']);
  expect(end.code, end.stderr).toBe(code);
  const logs = readdirSync(project.path('cache/logs'));
  look(project, end, readFileSync(project.path('cache/logs', logs[0]!), 'latin1'));
  expect(end.stderr).not.toContain('this is a bug');
  expect(processesOf(project.folder)).toEqual([]);
  // A failed attempt's folder stays to be looked at.
  expect(troubles(project).filter(trouble => !(code === 1 && trouble.startsWith('left in work')))).toEqual([]);
  expect(existsSync(project.path('cache/out/p/odd'))).toBe(code !== 1);
  tell(`a command that ${does}`, code === 0 ? 'is kept, as docs/running.md says' : code === 1 ? 'fails, as docs/running.md says' : 'is ended by the next run, which finishes');
});

test('docs/running.md says what becomes of each', () => {
  const text = readFileSync(fileURLToPath(new URL('../../docs/running.md', import.meta.url)), 'utf8');
  const section = text.slice(text.indexOf('## Odd commands'));
  const rows = [...section.matchAll(/^\| ([^|]+?) \| [^|]+ \|$/gm)].map(([, does]) => does);
  for (const { does } of commands) expect(rows).toContain(does);
});
