/**
 * The program that is sent to a host, one file without packages: `serve FOLDER` answers a driver over its standard input
 * and output; `supervise FOLDER`, with its order on standard input, and `supervise FOLDER --batch BATCH INDEX` watch over one job, or
 * over several, one after the other.
 */
import { fileURLToPath } from 'node:url';
import { dirname } from 'node:path';
import { readTasks, runPack } from './pack.ts';
import { serve } from './serve.ts';
import { readOrder, supervise } from './supervise.ts';

const program = fileURLToPath(import.meta.url);
const [command, folder, ...words] = process.argv.slice(2);
if (command === 'serve' && folder !== undefined) {
  await serve(folder, program);
  process.exit(0);
}
if (command === 'supervise' && folder !== undefined) {
  const [flag, batch = '', index] = words;
  const order = flag === '--batch' ? null : await readOrder();
  const names = flag === '--batch' ? (readTasks(folder, batch)[Number(index)] ?? []) : order === null ? [] : [order.name];
  if (names.length > 1) await runPack({ folder, program, batch, names });
  else for (const name of names) await supervise({ folder, name, token: order?.token ?? null, programs: dirname(program), secrets: order?.secrets ?? null });
  process.exit(0);
}
process.stderr.write('usage: host-agent serve FOLDER | supervise FOLDER | supervise FOLDER --batch BATCH INDEX\n');
process.exit(2);
