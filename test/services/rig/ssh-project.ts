/** A project in a temporary folder whose hosts file names this machine, reached over sshd on loopback. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeProject } from '../../rig/pipe.ts';
import type { TestProject } from '../../rig/pipe.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';

export interface SshSite {
  readonly sshd: Daemon;
  /** The work folder on the "host". */
  readonly folder: string;
  /** An entry of the hosts file, as YAML in flow style; `more` is added to it. */
  entry(more?: string): string;
  project(pipeline: string, files?: Readonly<Record<string, string>>, more?: string): TestProject;
  stop(): Promise<void>;
}

export async function startSshSite(): Promise<SshSite> {
  const sshd = await startDaemon('sshd', 1);
  const folder = mkdtempSync(join(tmpdir(), 'pipe-host-'));
  const entry = (more = ''): string =>
    `{ ssh: root@127.0.0.1, port: ${sshd.ports[0]}, key: ${join(sshd.folder, 'id')}, folder: ${folder}, ` +
    `options: { UserKnownHostsFile: ${join(sshd.folder, 'known_hosts')}, IdentitiesOnly: yes }${more === '' ? '' : `, ${more}`} }`;
  return {
    sshd, folder, entry,
    project: (pipeline, files = {}, more = '') =>
      makeProject({ 'package.json': '{}', 'pipe.yaml': `pipeline: p\n${pipeline}`, 'pipe.hosts.yaml': `hosts:\n  box: ${entry(more)}\n`, ...files }),
    async stop() {
      await sshd.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The events of `pipe run --json`. */
export const eventsOf = (stdout: string): Record<string, unknown>[] => stdout.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line) as Record<string, unknown>);
