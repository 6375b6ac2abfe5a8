/** One entry of the hosts file → settings with their defaults; what its shape cannot say is checked here. */
import type { Problems } from '../pipeline/problems.ts';
import { childPointer } from '../pipeline/source-file.ts';
import { byteExample, durationExample, parseBytes, parseDuration } from '../pipeline/units.ts';
import { localPath } from './hosts-file.ts';
import type { HostSettings, Place, SlurmSettings } from './model.ts';
import type { HostYaml } from './schema.ts';

const defaultPull = 64 * 2 ** 20;
const defaultCheckpoint = 8 * 2 ** 30;
const defaultPatienceMs = 600_000;
const defaultSlots = 64;
const defaultClusterSlots = 1000;

/** Null when something is wrong with it, which is noted. */
export function hostSettings(file: string, name: string, yaml: HostYaml, env: Readonly<Record<string, string | undefined>>, problems: Problems): HostSettings | null {
  const pointer = childPointer('/hosts', name);
  const before = problems.count;
  const wrong = (key: string, message: string, hint: string | null, part: 'key' | 'value' = 'value'): void =>
    problems.add({ code: 'bad-host', message, hint, at: { kind: 'file', file, pointer: key === '' ? pointer : childPointer(pointer, key), part } });
  if (name === 'local') wrong('', '`local` is this machine and cannot be another', 'give the host another name', 'key');
  if ((yaml.ssh === undefined) === (yaml.slurm === undefined)) {
    wrong('', `\`${name}\` needs either \`ssh:\` or \`slurm:\`${yaml.ssh === undefined ? '' : ', and has both'}`, yaml.ssh === undefined ? 'write `ssh: user@box`, or `slurm: { login: user@box }`' : 'a cluster behind a login node is `slurm: { login: user@box }`', 'key');
  }
  const login = yaml.ssh ?? yaml.slurm?.login ?? 'local';
  if (login.startsWith('-') || /\s/.test(login)) wrong(yaml.ssh === undefined ? 'slurm' : 'ssh', `\`${login}\` is no destination of ssh`, 'write user@box');
  if (login === 'local') {
    for (const key of ['port', 'key', 'jump', 'options'] as const) if (yaml[key] !== undefined) wrong(key, `\`${key}\` is for a login over ssh, and this cluster's is local`, 'leave it out, or name the login node', 'key');
  }
  if (yaml.slurm !== undefined && yaml.resources !== undefined) wrong('resources', 'own resources of a cluster are for Slurm to give out', 'ask for them by its options, such as `options: [\'--licenses=matlab:1\']` below `slurm:`', 'key');
  const pull = yaml.pull === undefined ? defaultPull : parseBytes(yaml.pull);
  if (pull === null) wrong('pull', `\`pull\` must be ${byteExample}`, null);
  const checkpoint = yaml.checkpoint === undefined ? defaultCheckpoint : parseBytes(yaml.checkpoint);
  if (checkpoint === null) wrong('checkpoint', `\`checkpoint\` must be ${byteExample}`, null);
  const patience = yaml.patience === undefined ? defaultPatienceMs : parseDuration(yaml.patience);
  if (patience === null) wrong('patience', `\`patience\` must be ${durationExample}`, null);
  if (problems.count > before) return null;
  const place: Place = login === 'local' ? { kind: 'here' } : {
    kind: 'ssh', destination: login, port: yaml.port ?? null, key: yaml.key === undefined ? null : localPath(yaml.key, file, env), jump: yaml.jump ?? null,
    options: Object.fromEntries(Object.entries(yaml.options ?? {}).map(([key, value]) => [key, value === true ? 'yes' : value === false ? 'no' : String(value)])),
  };
  return {
    name, place, slurm: yaml.slurm === undefined ? null : slurmSettings(yaml.slurm), folder: yaml.folder ?? '~/.pipe',
    slots: yaml.slots ?? (yaml.slurm === undefined ? defaultSlots : defaultClusterSlots), pullBytes: pull!, checkpointBytes: checkpoint!, patienceMs: patience!, setup: yaml.setup ?? null, node: yaml.node ?? null,
    platform: { os: yaml.platform?.os ?? null, backend: yaml.platform?.backend ?? null }, interpreters: yaml.interpreters ?? {}, resources: yaml.resources ?? {},
  };
}

function slurmSettings(yaml: NonNullable<HostYaml['slurm']>): SlurmSettings {
  return {
    partition: yaml.partition ?? null, account: yaml.account ?? null, qos: yaml.qos ?? null, modules: yaml.modules ?? [], container: yaml.container ?? null,
    array: yaml.array ?? true, pack: yaml.pack ?? 1, options: yaml.options ?? [],
  };
}
