import { parseArgs } from 'node:util';

const usageOf = (/** @type {{ command: string, after: string }} */ { command, after }) => `${command} -- [--only CASE]… [--runs N] [--json] [--list]
  --only CASE  one case, or all whose name begins so; may be repeated
  --runs N     timed runs of each program, in place of the case's own number
  --json       all numbers as JSON on stdout
  --list       the cases
${after}`;

/**
 * What the command line asks for; prints the cases or the usage, and ends the process, where that is asked for or needed.
 * @template {{ name: string, title: string }} T
 * @param {readonly string[]} argv @param {readonly T[]} cases
 * @param {{ command: string, after: string }} about  How the command is called, and the last lines of its usage.
 */
export function parseOptions(argv, cases, about) {
  const usage = usageOf(about);
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
    if (values.list) {
      for (const { name, title } of cases) console.log(`${name.padEnd(20)} ${title}`);
      process.exit(0);
    }
    return { cases: chosen, runs, json: values.json };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${usage}`);
    process.exit(2);
  }
}
