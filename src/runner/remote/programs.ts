/** The programs that are sent to a host, and the name under which they lie there: by content, so that versions live side by side. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PipeError } from '../diagnostic.ts';
import { sha256 } from '../store/file-bytes.ts';

export interface HostPrograms {
  readonly name: string;
  /** In the order in which they are sent: the agent, by which the others are known to be there, comes last. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
}

export function hostPrograms(packageRoot: string): HostPrograms {
  const folder = join(packageRoot, 'dist', 'host');
  const files = ['stage-worker.js', 'host-agent.js'].map(name => ({ name, path: join(folder, name) }));
  try {
    return { name: `agent-${sha256(files.map(({ path }) => sha256(readFileSync(path))).join()).slice(0, 16)}`, files };
  } catch (error) {
    throw new PipeError(`the programs for other hosts are not in ${folder}`, { exitCode: 3, code: 'not-built', hint: 'run `npm run build`', cause: error });
  }
}
