/** The environment a stage starts with: nothing of the caller's but what the language lists. */
import { delimiter, join } from 'node:path';
import type { Environment } from '../pipeline/model.ts';
import { variablePrefix } from '../shared-cache/config-file.ts';
import type { Job } from './executor.ts';
import { markerVariable } from './process-tree.ts';
import { jobFiles } from './work-folder.ts';

type Variables = Readonly<Record<string, string | undefined>>;

/** Passed to every stage and not keyed. */
const everyStage = ['PATH', 'HOME', 'TMPDIR', 'USER', 'TERM', 'SSH_AUTH_SOCK'];

/**
 * Passed to typed stages besides, not keyed: how this machine reaches the network and finds its libraries. A shell
 * stage lists them in `env.pass` where it needs them.
 */
const typedStages = [
  'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR',
  'LD_LIBRARY_PATH', 'DYLD_LIBRARY_PATH', 'XDG_CACHE_HOME', 'XDG_DATA_HOME', 'NODE_PATH',
];

/** Variables by which numerical libraries choose how many threads they use. */
const threadVariables = [
  'OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS', 'NUMEXPR_NUM_THREADS', 'BLIS_NUM_THREADS',
  'RAYON_NUM_THREADS', 'TF_NUM_INTRAOP_THREADS', 'TF_NUM_INTEROP_THREADS', 'PIPE_THREADS',
];

/** What `env:` of a stage gives it, from the caller's environment. Variables that are not set stay unset. */
export function givenEnvironment(settings: Environment, caller: Variables): Job['environment'] {
  return { plain: { ...pick(settings.pass, caller), ...settings.set }, secret: pick(settings.secret, caller) };
}

export interface StageEnvironment {
  /** May be written down, in `run.sh`. */
  readonly plain: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, string>>;
}

export function stageEnvironment(job: Job, caller: Variables, packageRoot: string): StageEnvironment {
  const typed = job.cell.action.kind === 'module';
  const files = jobFiles(job.folder);
  const threads = String(Math.max(1, Math.floor(job.grant.cpu)));
  const plain: Record<string, string> = {
    ...pick(everyStage, caller),
    ...(typed ? pick([...typedStages, ...Object.keys(caller).filter(name => name.startsWith('PIPE_') && !name.startsWith(variablePrefix))], caller) : {}),
    ...Object.fromEntries(threadVariables.map(name => [name, threads])),
    ...job.environment.plain,
    CUDA_VISIBLE_DEVICES: job.grant.gpus.join(','),
    CUDA_DEVICE_ORDER: 'PCI_BUS_ID',
    PIPE_BACKEND: job.backend,
    PIPE_CELL: job.cell.id,
    PIPE_EVENTS: files.events,
    PIPE_PARAMS: files.params,
    PIPE_PROJECT: job.projectRoot,
    [markerVariable]: job.folder,
  };
  delete plain.PIPE_CHECKPOINT;
  if (job.checkpoint !== null) plain.PIPE_CHECKPOINT = job.checkpoint;
  // Programs that npm put beside the stage's project or this package are found by name, as in an npm script.
  const bin = [join(job.projectRoot, 'node_modules', '.bin'), join(packageRoot, 'node_modules', '.bin')];
  if (typed) plain.PATH = [plain.PATH, ...bin].filter(Boolean).join(delimiter);
  return { plain, secret: job.environment.secret };
}

function pick(names: readonly string[], from: Variables): Record<string, string> {
  const result: Record<string, string> = {};
  for (const name of names) {
    const value = from[name];
    if (value !== undefined) result[name] = value;
  }
  return result;
}
