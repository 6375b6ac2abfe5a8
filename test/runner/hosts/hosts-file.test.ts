/** `pipe.hosts.yaml` with mistakes, and what is said of them. In each text, «…» stands around what the squiggle must mark. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { InvalidPipeline } from '../../../src/runner/diagnostic.ts';
import type { Diagnostic } from '../../../src/runner/diagnostic.ts';
import { findHostsFile, loadHosts, readHostsFile } from '../../../src/runner/hosts/hosts-file.ts';
import { renderDiagnostic } from '../../../src/runner/pipeline/render-diagnostic.ts';

function folderWith(text: string): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'pipe-hosts-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'pipe.hosts.yaml'), text);
  return folder;
}

async function mistakesIn(text: string): Promise<readonly Diagnostic[]> {
  try {
    await readHostsFile(join(folderWith(text), 'pipe.hosts.yaml'), {});
  } catch (error) {
    if (error instanceof InvalidPipeline) {
      expect(error.exitCode).toBe(2);
      return error.diagnostics;
    }
    throw error;
  }
  return [];
}

/** The place of the marks, as line and column, and the text without them. */
function marked(text: string): { readonly text: string; readonly at: string } {
  const before = text.slice(0, text.indexOf('«')).split('\n');
  return { text: text.replaceAll(/[«»]/g, ''), at: `${before.length}:${before.at(-1)!.length + 1}` };
}

const head = 'hosts:\n  box: { ssh: me@box }\n';

const cases: readonly (readonly [name: string, text: string, code: string, message: RegExp, hint: RegExp | null])[] = [
  ['a tab', 'hosts:\n«\t»box: { ssh: me@box }\n', 'tab', /tabs/i, /spaces/],
  ['an open map', 'hosts:\n  box: { ssh: me@box\n«o»ther: 1\n', 'yaml-syntax', /flow map/, null],
  ['an empty file', '«»\n', 'wrong-type', /empty/, /begin with `hosts:`/],
  ['a list', '«-» box\n', 'wrong-type', /a hosts file is a map/, /begin with `hosts:`/],
  ['another top key', `«host»:\n  box: { ssh: me@box }\nhosts: {}\n`, 'unknown-key', /`host`/, /did you mean `hosts`/],
  ['an unknown key of a host', 'hosts:\n  box: { ssh: me@box, «prot»: 22 }\n', 'unknown-key', /host `box`.*`prot`|`prot`.*host `box`/, /did you mean `port`/],
  ['an unknown key of a cluster', `${head}  lab: { slurm: { «partion»: gpu } }\n`, 'unknown-key', /`partion`/, /did you mean `partition`/],
  ['a port that is none', 'hosts:\n  box: { ssh: me@box, port: «99999» }\n', 'wrong-type', /`port`/, null],
  ['slots that are none', 'hosts:\n  box: { ssh: me@box, slots: «0» }\n', 'wrong-type', /`slots`/, null],
  ['a text for a number', 'hosts:\n  box: { ssh: me@box, port: «abc» }\n', 'wrong-type', /`port` must be/, null],
  ['neither', 'hosts:\n  «box»: { folder: /x }\n', 'bad-host', /needs either `ssh:` or `slurm:`/, /user@box/],
  ['both', 'hosts:\n  «box»: { ssh: me@box, slurm: {} }\n', 'bad-host', /has both/, /login/],
  ['a name that is this machine', 'hosts:\n  «local»: { ssh: me@box }\n', 'bad-host', /this machine/, /another name/],
  ['a name that is no name', 'hosts:\n  «9 lives»: { ssh: me@box }\n', 'bad-name', /`9 lives`/, null],
  ['an option for a destination', 'hosts:\n  box: { ssh: «-oProxyCommand=x» }\n', 'bad-host', /no destination of ssh/, /user@box/],
  ['own resources of a cluster', 'hosts:\n  lab: { slurm: {}, «resources»: { matlab: 2 } }\n', 'bad-host', /for Slurm to give out/, /--licenses/],
  ['a size of checkpoints that is none', 'hosts:\n  box: { ssh: me@box, checkpoint: «much» }\n', 'bad-host', /`checkpoint` must be/, null],
  ['a size that is none', 'hosts:\n  box: { ssh: me@box, pull: «lots» }\n', 'bad-host', /`pull` must be/, null],
  ['a time that is none', 'hosts:\n  box: { ssh: me@box, patience: «soon» }\n', 'bad-host', /`patience` must be/, null],
  ['a port of a local login', `${head}  lab: { slurm: {}, «port»: 22 }\n`, 'bad-host', /`port` is for a login over ssh/, /login node/],
  ['a key twice', 'hosts:\n  box: { ssh: me@box, slots: 1, «slots»: 2 }\n', 'duplicate-key', /`slots` is written twice/, /keep one/],
];

describe('a mistake in the hosts file is shown with its place and what to write instead', () => {
  test.each(cases)('%s', async (_, text, code, message, hint) => {
    const { text: plain, at } = marked(text);
    const found = await mistakesIn(plain);
    expect(found.map(mistake => mistake.code)).toEqual([code]);
    const [mistake] = found;
    expect(mistake!.message).toMatch(message);
    expect(`${mistake!.position?.line}:${mistake!.position?.column}`).toBe(at);
    if (hint !== null) expect(mistake!.hint).toMatch(hint);
    const shown = renderDiagnostic(mistake!, { color: false, cwd: '/' });
    expect(shown).toContain(`pipe.hosts.yaml:${at}: error[${code}]`);
    expect(shown).toMatch(/\| *~/);
  });
});

test('all mistakes of a file are shown at once, those of shape and those of sense', async () => {
  const found = await mistakesIn('hosts:\n  a: { ssh: me@a, prot: 22 }\n  b: { ssh: me@b, pull: lots, patience: soon }\n  local: { ssh: me@c }\n  d: { ssh: 5 }\n');
  expect(found.map(({ code, position }) => `${position?.line} ${code}`)).toEqual(['2 unknown-key', '3 bad-host', '3 bad-host', '4 bad-host', '5 wrong-type']);
});

test('the project comes before the user, whose file is found in XDG_CONFIG_HOME or ~/.config', async () => {
  const folder = folderWith('hosts: { mine: { ssh: me@box, key: ~/id, folder: x } }\n');
  const home = folderWith('');
  mkdirSync(join(home, '.config', 'pipe'), { recursive: true });
  writeFileSync(join(home, '.config', 'pipe', 'hosts.yaml'), 'hosts: { theirs: { ssh: me@box } }\n');
  expect(findHostsFile(folder, { HOME: home })).toBe(join(folder, 'pipe.hosts.yaml'));
  const hosts = await loadHosts(folder, { HOME: home });
  expect(hosts.entries.get('mine')).toMatchObject({ place: { kind: 'ssh', destination: 'me@box', key: join(home, 'id'), port: null }, slots: 64, pullBytes: 64 * 2 ** 20, checkpointBytes: 8 * 2 ** 30, patienceMs: 600_000 });
  rmSync(join(folder, 'pipe.hosts.yaml'));
  expect([...(await loadHosts(folder, { HOME: home })).entries.keys()]).toEqual(['theirs']);
  expect([...(await loadHosts(folder, { HOME: homedir(), XDG_CONFIG_HOME: join(home, '.config') })).entries.keys()]).toEqual(['theirs']);
  expect((await loadHosts(folder, { HOME: join(home, 'nobody') })).file).toBeNull();
});
