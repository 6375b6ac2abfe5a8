/**
 * The shapes of a benchmark, for readers and editors; nothing here runs.
 *
 * @typedef {object} Sample  One run of one program, measured from outside.
 * @property {number} wallMs  From spawn to exit.
 * @property {number | null} userMs  Processor time in user mode, of the program and of all it waited for.
 * @property {number | null} systemMs
 * @property {number | null} peakBytes  Largest resident set of any one process of it.
 * @property {string} output  stdout and stderr together.
 *
 * @typedef {object} Contestant  One program with one thing to do.
 * @property {string} subject  The row's name, such as `pipe run` or `dvc repro`.
 * @property {readonly string[]} command
 * @property {string} cwd
 * @property {Readonly<Record<string, string>>} [env]  On top of this process's.
 * @property {number} [warmups]  Untimed runs before the first round; 1 unless said. 0 for what starts from nothing each time.
 * @property {number} [atMost]  Timed runs at most, for what takes minutes.
 * @property {(round: number) => void | Promise<void>} [before]  Untimed, before each run: makes the state that is timed.
 * @property {(sample: Sample, round: number) => void | Promise<void>} [verify]  Untimed, after each run; throws when the run was
 *   not what it is said to be.
 *
 * @typedef {object} Measured
 * @property {string} subject
 * @property {readonly Sample[]} samples
 *
 * @typedef {object} Verdict  One bar of the issue.
 * @property {string} bar  In words, such as `≥ 4× faster than dvc repro`.
 * @property {number} value
 * @property {number} limit
 * @property {'at most' | 'at least'} direction
 * @property {string} unit  `s`, `ms`, `MB`, `%` or `×`.
 *
 * @typedef {object} CaseResult
 * @property {readonly Measured[]} measured
 * @property {readonly Verdict[]} verdicts
 * @property {readonly string[]} notes  What was checked, and which peers were left out.
 *
 * @typedef {object} Bench  What a case is given.
 * @property {string} folder  An empty folder for its fixture, gone after it.
 * @property {string} pipe  Path of dist/pipe.js.
 * @property {string} repository
 * @property {number | null} runs  `--runs`, or null for the case's own number.
 * @property {(peer: string) => string | null} peer  Path of an installed program, or null.
 * @property {(text: string) => void} say  A line on stderr.
 * @property {Map<string, unknown>} shared  Results that several cases use, measured once.
 *
 * @typedef {object} Case
 * @property {string} name
 * @property {string} title
 * @property {(bench: Bench) => Promise<CaseResult>} measure
 */
export {};
