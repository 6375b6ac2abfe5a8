import { spawnSync } from 'node:child_process';
import { PipeError } from '../diagnostic.ts';

const known = new Map<string, string>();

/**
 * What `interpreter: python3` puts into the key: the first line that `python3 --version` prints. Asked once a process.
 * Throws PipeError (exit 3) when there is no such program.
 */
export function interpreterVersion(command: string): string {
  let version = known.get(command);
  if (version === undefined) {
    version = ask(command);
    known.set(command, version);
  }
  return version;
}

function ask(command: string): string {
  const { error, stdout, stderr, status } = spawnSync(command, ['--version'], { encoding: 'utf8', timeout: 20_000, stdio: ['ignore', 'pipe', 'pipe'] });
  if (error !== undefined || status !== 0) {
    throw new PipeError(`the interpreter ${command} does not run: ${error?.message ?? `\`${command} --version\` ended with ${status}`}`, {
      exitCode: 3, code: 'no-interpreter', hint: 'install it, or change `interpreter:` in the pipeline',
    });
  }
  // Some print it on stderr.
  return (stdout.trim() || stderr.trim()).split('\n')[0] ?? '';
}
