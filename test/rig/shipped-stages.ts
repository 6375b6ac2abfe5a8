/** The catalogue with the shipped stages. Bundles are named by content, so that test files share them, and the next run has them. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StageCatalogue } from '../../src/runner/pipeline/model.ts';
import { createCatalogue } from '../../src/runner/plan/catalogue.ts';

const packageRoot = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** `root`: the folder of the project, whose own stages go first. */
export const shippedStages = (root: string = packageRoot): StageCatalogue =>
  createCatalogue({ root, packageRoot, cache: join(packageRoot, 'node_modules', '.cache', 'pipe-tests', 'stages') });
