/** What `pipe hosts` finds out about one host or cluster, and the command that mends what is wrong. */
import type { HostSettings } from '../hosts/model.ts';
import { shellQuote } from '../pipeline/shell-text.ts';
import { formatBytes, formatDuration, plural } from '../ui/format.ts';
import { lastLine } from './link.ts';
import { probeHost, takesOurNode } from './probe.ts';
import type { Probe } from './probe.ts';
import type { HostPrograms } from './programs.ts';
import { sshTrouble } from './ssh-trouble.ts';
import { sshCommand } from './transport.ts';

export interface Finding {
  /** Stable: reachable, clock, machine, disk, node, programs, gpu, backend, slurm, interpreter. */
  readonly what: string;
  /** `missing`: no cell can run there until it is mended. */
  readonly level: 'ok' | 'note' | 'missing';
  readonly says: string;
  /** A command or a line of the hosts file that mends it. */
  readonly mend: string | null;
}

export interface HostReport {
  readonly name: string;
  readonly kind: 'ssh' | 'slurm';
  readonly ok: boolean;
  readonly findings: readonly Finding[];
}

/** The native tensor backends here that would be sent to a host without graphics processors, and to one with; null: there is none. */
export interface HereFacts {
  readonly withoutGpus: SentBackend | null;
  readonly withGpus: SentBackend | null;
}

type SentBackend = { readonly identity: string; readonly device: 'cpu' | 'gpu' };

const littleBytes = 64e6;
const fewBytes = 5e9;
const clockToleranceSeconds = 5;

export async function checkHost(host: HostSettings, programs: HostPrograms, here: HereFacts): Promise<HostReport> {
  const probe = await probeHost(host, programs);
  const findings = 'says' in probe ? judge(host, probe, here) : [unreachable(host, probe.stderr)];
  return { name: host.name, kind: host.slurm === null ? 'ssh' : 'slurm', ok: findings.every(({ level }) => level !== 'missing'), findings };
}

function unreachable(host: HostSettings, stderr: string): Finding {
  const trouble = sshTrouble(host, stderr);
  const why = lastLine(stderr) ?? 'it ended without an answer: do the start-up files of its shell end the session?';
  return { what: 'reachable', level: 'missing', says: trouble === null ? why : `${why} (${trouble.hint})`, mend: trouble?.mend ?? (host.place.kind === 'here' ? null : sshCommand(host, 'true', { BatchMode: 'no' }, '-v')) };
}

function judge(host: HostSettings, probe: Probe, here: HereFacts): Finding[] {
  const one = (name: string): string => probe.says.get(name)?.[0] ?? '';
  const findings: Finding[] = [{ what: 'reachable', level: 'ok', says: `${one('who')}, answered in ${formatDuration(probe.tookMs)}`, mend: null }];
  findings.push(clock(host, probe.clockAheadSeconds), machine(host, probe), disk(host, probe), node(host, probe));
  findings.push({ what: 'programs', level: 'ok', says: one('programs') === 'yes' ? 'those of this version are there' : 'the first run sends those of this version', mend: null });
  if (host.slurm === null) findings.push(gpu(probe));
  else findings.push(...slurm(host, host.slurm.partition, probe));
  findings.push(backend(host, probe, here));
  for (const [command, declared] of Object.entries(host.interpreters)) findings.push(interpreter(host, command, declared, one(`version ${command}`)));
  return findings;
}

function clock(host: HostSettings, ahead: number | null): Finding {
  if (ahead === null) return { what: 'clock', level: 'note', says: 'it does not say its time', mend: null };
  const off = Math.abs(ahead);
  if (off <= clockToleranceSeconds) return { what: 'clock', level: 'ok', says: 'as here', mend: null };
  // Nothing of a run depends on it: times of cells are this machine's, and who is alive is told by processes.
  return { what: 'clock', level: 'note', says: `${formatDuration(off * 1000)} ${ahead > 0 ? 'ahead of' : 'behind'} this machine: runs do not mind, but times that stages write will differ`, mend: sshCommand(host, 'sudo timedatectl set-ntp true') };
}

function machine(host: HostSettings, { says }: Probe): Finding {
  const uname = says.get('uname')?.[0] ?? '';
  const memory = Number(says.get('memory')?.[0] ?? 0) * 1024;
  const os = osOf(uname);
  const declared = host.platform.os;
  const text = [uname, plural(Number(says.get('cores')?.[0] ?? 0), 'core'), ...(memory > 0 ? [`${formatBytes(memory)} of memory`] : []), ...(says.get('libc')?.[0] ? [says.get('libc')![0]!] : [])].join(', ');
  if (declared !== null && declared !== os) return { what: 'machine', level: 'missing', says: `${text}, and the hosts file says ${declared}`, mend: `platform: { os: ${os} }` };
  return { what: 'machine', level: 'ok', says: text, mend: null };
}

function osOf(uname: string): string {
  const [system = '', processor = ''] = uname.split(' ');
  const processors: Readonly<Record<string, string>> = { x86_64: 'x64', amd64: 'x64', aarch64: 'arm64' };
  return `${system.toLowerCase()}-${processors[processor] ?? processor}`;
}

function disk(host: HostSettings, { says }: Probe): Finding {
  const folder = says.get('folder')?.[0] ?? host.folder;
  const free = Number(says.get('free')?.[0] || Number.NaN) * 1024;
  const inodes = Number(says.get('inodes')?.[0] || Number.NaN);
  const wrote = says.get('write')?.[0] ?? '';
  const clean = `pipe hosts gc ${host.name}`;
  const room = Number.isNaN(free) ? '' : `, ${formatBytes(free)} free`;
  if (wrote !== 'yes') {
    const why = wrote.replace(/^no ?/, '');
    const full = /No space left|quota exceeded/i.test(why);
    return {
      what: 'disk', level: 'missing', says: full ? `the disk is full: ${folder} cannot be written to${room}` : `${folder} cannot be written to: ${why}`,
      mend: full ? clean : host.folder.startsWith('~') ? sshCommand(host, `ls -ld ${shellQuote(folder)}`) : `folder: (another one of yours, such as ~/.pipe)`,
    };
  }
  if (free < littleBytes || inodes < 1000) return { what: 'disk', level: 'missing', says: `${folder}${room}${inodes < 1000 ? `, room for ${plural(inodes, 'file')}` : ''}: too little to run anything`, mend: clean };
  return { what: 'disk', level: free < fewBytes ? 'note' : 'ok', says: `${folder}${room}`, mend: free < fewBytes ? clean : null };
}

function node(host: HostSettings, probe: Probe): Finding {
  const one = (name: string): string => probe.says.get(name)?.[0] ?? '';
  const version = one('node');
  const path = one('node-path');
  const install = 'node: /path/to/node (20.19 or later, installed there)';
  if (/^v\d/.test(version)) {
    return isEnough(version) ? { what: 'node', level: 'ok', says: `${version} (${path})`, mend: null } : { what: 'node', level: 'missing', says: `${version} (${path}), and 20.19 or later is needed`, mend: install };
  }
  if (version !== '') return { what: 'node', level: 'missing', says: `${path} does not start: ${version}`, mend: install };
  if (host.node !== null) return { what: 'node', level: 'missing', says: `there is none at ${host.node}`, mend: install };
  if (!takesOurNode(host, probe)) return { what: 'node', level: 'missing', says: `there is none on its PATH, and this machine's is for another system`, mend: install };
  const libc = /^glibc (\d+)\.(\d+)/.exec(one('libc'));
  // What Node's own builds are linked with.
  if (libc !== null && Number(libc[1]) === 2 && Number(libc[2]) < 28) return { what: 'node', level: 'missing', says: `this machine's needs glibc 2.28, and the host has ${libc[1]}.${libc[2]}`, mend: install };
  return { what: 'node', level: 'ok', says: `the first run sends this machine's (${process.version})`, mend: null };
}

function isEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.slice(1).split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 19);
}

function gpu({ says }: Probe): Finding {
  const rows = says.get('gpu') ?? [];
  const gpus = rows.filter(row => row.split(',').length >= 3);
  if (gpus.length > 0) return { what: 'gpu', level: 'ok', says: gpus.join('; '), mend: null };
  if (rows.length > 0 || says.has('gpu-device')) return { what: 'gpu', level: 'note', says: `there is a device, but nvidia-smi does not show it${rows[0] === undefined ? '' : `: ${rows[0]}`}`, mend: 'install the NVIDIA driver there, with nvidia-smi on the PATH' };
  return { what: 'gpu', level: 'note', says: 'none: cells that ask for one cannot run there', mend: null };
}

function backend(host: HostSettings, probe: Probe, here: HereFacts): Finding {
  const there = [...new Set((probe.says.get('backend') ?? []).map(path => path.split('/').at(-1)!))];
  const hasGpus = (probe.says.get('gpu') ?? []).some(row => row.split(',').length >= 3);
  const sent = takesOurNode(host, probe) ? (hasGpus ? here.withGpus : here.withoutGpus) : null;
  const mend = `pipe backend install${hasGpus ? ' --gpu' : ''} (here: it is sent from then on)`;
  const idle = 'its GPUs are not used by tensors: ';
  if (there.length > 0) {
    const unused = hasGpus && !there.some(name => name.endsWith('-gpu'));
    return { what: 'backend', level: unused ? 'note' : 'ok', says: `${unused ? idle : ''}${there.join(', ')}`, mend: unused ? 'remove it there, or install one for GPUs and name its parent folder in PIPE_BACKENDS in `setup:`' : null };
  }
  if (sent !== null) {
    const unused = hasGpus && sent.device === 'cpu';
    return { what: 'backend', level: unused ? 'note' : 'ok', says: `${unused ? idle : ''}the first typed cell sends this machine's (${sent.identity})`, mend: unused ? mend : null };
  }
  const declared = host.platform.backend;
  const says = `no native tensors: typed stages compute on wasm${declared === null ? '' : `, and the hosts file says ${declared}`}`;
  return { what: 'backend', level: 'note', says, mend: takesOurNode(host, probe) ? mend : 'set PIPE_BACKENDS there in `setup:` to a folder made by `pipe backend install`' };
}

function interpreter(host: HostSettings, command: string, declared: string, actual: string): Finding {
  if (actual === declared) return { what: 'interpreter', level: 'ok', says: actual, mend: null };
  const mend = actual === '' || /not found/.test(actual) ? `install ${command} there, or name its folder in \`setup:\`` : `interpreters: { ${command}: ${actual} }`;
  return { what: 'interpreter', level: actual === '' || /not found/.test(actual) ? 'missing' : 'note', says: `${command} is ${actual || 'not there'}, and the hosts file says ${declared}`, mend };
}

function slurm(host: HostSettings, wanted: string | null, { says }: Probe): Finding[] {
  const version = says.get('sbatch')?.[0] ?? '';
  if (!/^slurm\S* \d/i.test(version)) return [{ what: 'slurm', level: 'missing', says: `sbatch does not answer${version === '' ? '' : `: ${version}`}`, mend: 'setup: module load slurm (or what puts sbatch on the PATH there)' }];
  const rows = (says.get('partition') ?? []).map(row => row.split(' '));
  const named = rows.filter(row => row.length >= 4);
  if (named.length === 0) return [{ what: 'slurm', level: 'missing', says: `${version}, and sinfo shows no nodes: ${rows[0]?.join(' ') ?? 'nothing'}`, mend: sshCommand(host, 'scontrol ping') }];
  const names = [...new Set(named.map(([name]) => name!))];
  // Of several the job goes to the one that begins it first.
  const asked = wanted?.split(',') ?? names;
  const absent = asked.filter(name => !names.includes(name));
  if (absent.length > 0) return [{ what: 'slurm', level: 'missing', says: `${version}, and it has no partition ${absent.join(', ')}: there are ${names.join(', ')}`, mend: `slurm: { partition: ${names[0]} }` }];
  const shown = named.filter(([name]) => asked.includes(name!));
  const up = shown.filter(([, , state]) => !/down|drain|fail|unk/i.test(state!));
  const text = shown.map(([name, count, state, gres]) => `${name} ${count} ${state}${gres === '(null)' ? '' : ` with ${gres}`}`).join('; ');
  return [{ what: 'slurm', level: up.length > 0 ? 'ok' : 'note', says: `${version}: ${text}`, mend: up.length > 0 ? null : sshCommand(host, 'sinfo -R') }];
}
