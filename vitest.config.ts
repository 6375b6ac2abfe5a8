import { defineConfig } from 'vitest/config';

/** `npm test` runs `fast`; the others need minutes or services and have scripts of their own. */
const suite = process.env['PIPE_SUITE'] ?? 'fast';
const slowSuites = ['slow', 'faults', 'services'];
const fast = suite === 'fast';

export default defineConfig({
  test: {
    // The tensors' tests once more in the slow suite: by then native TensorFlow is installed, which they skip without.
    include: fast ? ['test/**/*.test.{ts,tsx}'] : [`test/${suite}/**/*.test.ts`, ...(suite === 'slow' ? ['test/study/nn/*.test.ts'] : [])],
    exclude: fast ? slowSuites.map(name => `test/${name}/**`) : [],
    globalSetup: suite === 'faults' || suite === 'services' ? ['test/faults/rig/print-counts.ts'] : [],
    pool: 'forks',
    // The other suites time whole programs and install things: one file at a time.
    maxWorkers: fast || suite === 'faults' ? 2 : 1,
    testTimeout: fast ? 60_000 : 30 * 60_000,
    hookTimeout: fast ? 60_000 : 30 * 60_000,
    ...(process.env['PIPE_TEST_COUNTS'] === undefined
      ? {}
      : { reporters: ['default', 'json'], outputFile: { json: `${process.env['PIPE_TEST_COUNTS']}/${suite}.json` } }),
  },
});
