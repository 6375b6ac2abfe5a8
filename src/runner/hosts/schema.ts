/** The shape of `pipe.hosts.yaml`. */
import { z } from 'zod';

export const hostNamePattern = /^[A-Za-z][A-Za-z0-9_-]*$/;

const size = z.union([z.number().min(0), z.string()]);
const shared = {
  port: z.int().min(1).max(65535).optional().describe('Port of sshd.'),
  key: z.string().optional().describe('A private key, such as ~/.ssh/id_ed25519.'),
  jump: z.string().optional().describe('A host to go through, as in `ssh -J`.'),
  options: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional().describe('Options of ssh, as in `-o NAME=VALUE`.'),
  folder: z.string().optional().describe('Work folder there; ~/.pipe unless said.'),
  slots: z.int().min(1).optional().describe('How many cells run there at once at most.'),
  pull: size.optional().describe('Outputs up to this size come here when a cell has ended, larger ones when they are needed; 64M unless said.'),
  checkpoint: size.optional().describe('Checkpoints up to this size go along when a cell moves from there or to there; 8G unless said.'),
  patience: size.optional().describe('How long a host that does not answer is waited for; 10m unless said.'),
  setup: z.string().optional().describe('Shell text run there before anything else.'),
  node: z.string().optional().describe('A Node there; one is sent unless said.'),
  platform: z.strictObject({
    os: z.string().optional().describe('Such as linux-x64.'),
    backend: z.string().optional().describe('Such as tensorflow-2.21.0-gpu.'),
  }).optional().describe('Facts for the keys of stages that list them under `platform:`.'),
  interpreters: z.record(z.string(), z.string()).optional().describe('Command → first line of its --version, for stages with `interpreter:`.'),
  resources: z.record(z.string(), z.number().min(0)).optional().describe('Own resources: name → amount.'),
};

export const hostSchema = z.strictObject({
  ssh: z.string().min(1).optional().describe('user@box, or a name of ssh\'s own configuration.'),
  slurm: z.strictObject({
    login: z.string().optional().describe('user@login, or `local` (unless said): sbatch is on this machine.'),
    partition: z.string().optional(),
    account: z.string().optional(),
    qos: z.string().optional(),
    modules: z.array(z.string()).optional().describe('Loaded with `module load` before a job.'),
    container: z.string().optional().describe('A command put before the job\'s, such as `apptainer exec --nv image.sif`.'),
    array: z.boolean().optional().describe('Cells that ask for the same are sent as one array; true unless said.'),
    pack: z.union([z.int().min(1).max(1000), z.literal('auto')]).optional().describe('How many cells one task of Slurm runs at most, one after the other, for cells of seconds; `auto`: as many as make 15 s by what their stage took there before. 1 unless said.'),
    options: z.array(z.string()).optional().describe('More options of sbatch.'),
  }).optional().describe('A Slurm cluster.'),
  ...shared,
});

export const hostsFileSchema = z.strictObject({
  hosts: z.record(z.string().regex(hostNamePattern), hostSchema).describe('Name → host or cluster.'),
}).describe('Hosts of the program pipe.');

export type HostYaml = z.output<typeof hostSchema>;
