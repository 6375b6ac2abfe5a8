/**
 * The program that is sent to a host, one file without packages: `serve FOLDER` answers a driver over its standard input
 * and output; `supervise FOLDER NAME stdin` and `supervise FOLDER --batch BATCH INDEX` watch over one job.
 */
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { readJson } from './job-folder.ts';
import { serve } from './serve.ts';
import { supervise } from './supervise.ts';

const program = fileURLToPath(import.meta.url);
const [command, folder, ...words] = process.argv.slice(2);
if (command === 'serve' && folder !== undefined) {
  await serve(folder, program);
  process.exit(0);
}
if (command === 'supervise' && folder !== undefined) {
  const inBatch = words[0] === '--batch';
  const name = inBatch ? readJson<readonly string[]>(join(folder, 'batches', words[1]!, 'tasks.json'))?.[Number(words[2])] : words[0];
  if (name !== undefined) await supervise({ folder, name, programs: dirname(program), secretsFromStdin: !inBatch });
  process.exit(0);
}
process.stderr.write('usage: host-agent serve FOLDER | supervise FOLDER NAME stdin | supervise FOLDER --batch BATCH INDEX\n');
process.exit(2);
