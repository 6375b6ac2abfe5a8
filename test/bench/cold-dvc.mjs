import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { copiesForDvc, lastCopy } from './fixtures/copies.mjs';
import { dvcEnvironment } from './fixtures/dvc.mjs';
import { measure } from './measure.mjs';

/**
 * DVC's cold run of a chain of copies. It takes a minute, and several cases compare with it: measured once.
 * @param {import('./model.mjs').Bench} bench @param {number} stages
 * @returns {Promise<import('./model.mjs').Measured | null>}  Null when DVC is not installed.
 */
export async function coldDvc(bench, stages) {
  const dvc = bench.peer('dvc');
  if (dvc === null) return null;
  const name = `dvc repro, ${stages} copies`;
  const known = bench.shared.get(name);
  if (known !== undefined) return /** @type {import('./model.mjs').Measured} */ (known);
  const folder = copiesForDvc(join(bench.folder, 'dvc-cold'), stages, dvc);
  bench.say(`  ${name}`);
  const sample = await measure({ command: [dvc, 'repro'], cwd: folder, env: { ...dvcEnvironment, DVC_SITE_CACHE_DIR: join(bench.folder, 'dvc-cold-site') } });
  if (!existsSync(lastCopy(folder, stages))) throw new Error('the cold run of dvc made no output');
  const measured = { subject: 'dvc repro', samples: [sample] };
  bench.shared.set(name, measured);
  return measured;
}
