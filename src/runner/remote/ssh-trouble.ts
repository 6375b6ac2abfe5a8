/** What ssh says when it cannot log in: whether trying again may help, and what would mend it. */
import type { HostSettings } from '../hosts/model.ts';
import { sshCommand } from './transport.ts';

export interface Trouble {
  /** Stable and documented. */
  readonly code: string;
  readonly hint: string;
  /** A command that mends it, where there is one. */
  readonly mend: string | null;
  /** Whether it may be otherwise in a moment, as where the network is away. */
  readonly passing: boolean;
}

interface Known {
  readonly pattern: RegExp;
  readonly code: string;
  readonly hint: string;
  readonly mend?: (host: HostSettings) => string | null;
  readonly passing?: boolean;
}

const known: readonly Known[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED/, code: 'host-key', hint: 'the host shows another key than before: if it was set up anew, forget the old key, and log in once by hand to accept the new one',
    mend: ({ place }) => (place.kind === 'here' ? null : `ssh-keygen -R ${place.port === null ? machineOf(place.destination) : `'[${machineOf(place.destination)}]:${place.port}'`}`),
  },
  { pattern: /Host key verification failed|No .* host key is known/, code: 'host-key', hint: 'log in once by hand to accept its key', mend: host => sshCommand(host, 'true', { BatchMode: 'no' }) },
  { pattern: /Identity file .* not accessible|Load key|no such identity/, code: 'key-file', hint: 'check `key:` in the hosts file', mend: ({ place }) => (place.kind === 'here' || place.key === null ? null : `ssh-keygen -t ed25519 -f ${place.key}`) },
  {
    pattern: /UNPROTECTED PRIVATE KEY FILE|Permissions .* too open/, code: 'key-file', hint: 'the key can be read by others, so ssh does not use it',
    mend: ({ place }) => (place.kind === 'here' || place.key === null ? null : `chmod 600 ${place.key}`),
  },
  {
    pattern: /Permission denied \(|Too many authentication failures/, code: 'login-refused', hint: 'check the key: `ssh` to the host must work without a question',
    mend: ({ place }) => (place.kind === 'here' ? null : `ssh-copy-id${place.port === null ? '' : ` -p ${place.port}`}${place.key === null ? '' : ` -i ${place.key}`} ${place.destination}`),
  },
  { pattern: /Could not resolve hostname/, code: 'unknown-machine', hint: 'check the name in the hosts file, and the network of this machine', passing: false },
  { pattern: /Bad configuration option|command-line line 0/, code: 'ssh-options', hint: 'check `options:` in the hosts file' },
  {
    pattern: /GLIBC|error while loading shared libraries|Exec format error|Syntax error: .* unexpected/, code: 'no-node', hint: 'install Node 20.19 or later there and name it with `node:` in the hosts file',
  },
  { pattern: /Connection refused/, code: 'host-unreachable', hint: 'nothing listens there: is sshd running, and is `port:` right?', mend: host => sshCommand(host, 'true', { BatchMode: 'no' }, '-v'), passing: true },
  {
    pattern: /timed out|No route to host|Network is unreachable|did not answer|Connection closed|Connection reset/, code: 'host-unreachable',
    hint: 'is it switched on, and is this machine in its network?', mend: host => sshCommand(host, 'true', { BatchMode: 'no' }, '-v'), passing: true,
  },
];

export function sshTrouble(host: HostSettings, stderr: string): Trouble | null {
  const found = known.find(({ pattern }) => pattern.test(stderr));
  return found === undefined ? null : { code: found.code, hint: found.hint, mend: found.mend?.(host) ?? null, passing: found.passing ?? false };
}

const machineOf = (destination: string): string => destination.replace(/^.*@/, '');
