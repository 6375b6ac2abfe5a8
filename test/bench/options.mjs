import { parseArgs } from 'node:util';

const usage = `npm run bench -- [--only CASE]… [--runs N] [--json] [--list]
  --only CASE  one case, or all whose name begins so; may be repeated
  --runs N     timed runs of each program, in place of the case's own number
  --json       all numbers as JSON on stdout
  --list       the cases
PIPE_BENCH_PEERS=FOLDER:FOLDER are looked through for dvc, ninja, turbo, git and snakemake before PATH is.`;

/**
 * @template {{ name: string }} T
 * @param {readonly string[]} argv @param {readonly T[]} cases
 */
export function parseOptions(argv, cases) {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string', multiple: true },
        runs: { type: 'string' },
        json: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const runs = values.runs === undefined ? null : Number(values.runs);
    if (runs !== null && (!Number.isInteger(runs) || runs < 1)) throw new Error(`--runs must be a whole number from 1, not ${values.runs}`);
    const only = values.only ?? [];
    for (const name of only) {
      if (!cases.some(other => other.name.startsWith(name))) throw new Error(`there is no case ${name}; there are ${cases.map(other => other.name).join(', ')}`);
    }
    const chosen = only.length === 0 ? cases : cases.filter(({ name }) => (only.includes(name) || only.some(start => !cases.some(other => other.name === start) && name.startsWith(start))));
    return { cases: chosen, runs, json: values.json, list: values.list };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`);
    process.exit(2);
  }
}
