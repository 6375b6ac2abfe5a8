import { describe, expect, test } from 'vitest';
import { terminalFacts } from '../../../src/runner/ui/terminal.ts';

const facts = (isTTY: boolean, env: Record<string, string>): string => {
  const { color, interactive } = terminalFacts({ isTTY, write: () => true }, env);
  return `${color ? 'color' : 'plain'} ${interactive ? 'live' : 'lines'}`;
};

describe('what a terminal can show', () => {
  test.each([
    [true, {}, 'color live'],
    [false, {}, 'plain lines'],
    [true, { NO_COLOR: '1' }, 'plain live'],
    [true, { NO_COLOR: '' }, 'color live'],
    [false, { FORCE_COLOR: '1' }, 'color lines'],
    [true, { FORCE_COLOR: '0' }, 'plain live'],
    [true, { FORCE_COLOR: '1', NO_COLOR: '1' }, 'color live'],
    [true, { TERM: 'dumb' }, 'plain lines'],
    [true, { CI: 'true' }, 'color lines'],
    [true, { CI: 'false' }, 'color live'],
  ])('terminal %s with %j: %s', (isTTY, env, expected) => expect(facts(isTTY, env)).toBe(expected));
});
