/** The runner's commands, in the order of the help. */
import type { CommandEntry } from './context.ts';

const running = 'Running:';
const looking = 'Looking:';
const results = 'Results:';
const project = 'Project:';

export const runnerCommands: readonly CommandEntry[] = [
  { name: 'run', summary: 'make everything (or the targets) fresh', group: running, load: async () => (await import('./run.ts')).runCommand },
  { name: 'verify', summary: 'run fresh cells again and compare', group: running, load: async () => (await import('./verify.ts')).verifyCommand },
  { name: 'accept', summary: 'let present outputs stand for a new key', group: running, load: async () => (await import('./accept.ts')).acceptCommand },
  { name: 'attach', summary: 'follow cells that run elsewhere', group: running, load: async () => (await import('./attach.ts')).attachCommand },
  { name: 'stop', summary: 'stop cells that run elsewhere', group: running, load: async () => (await import('./stop.ts')).stopCommand },
  { name: 'status', summary: 'show what would run', group: looking, load: async () => (await import('./status.ts')).statusCommand },
  { name: 'why', summary: 'show why a cell would run', group: looking, load: async () => (await import('./why.ts')).whyCommand },
  { name: 'graph', summary: 'draw the stages', group: looking, load: async () => (await import('./graph.ts')).graphCommand },
  { name: 'logs', summary: 'show the log of the last attempt', group: looking, load: async () => (await import('./logs.ts')).logsCommand },
  { name: 'history', summary: 'list the runs', group: looking, load: async () => (await import('./history.ts')).historyCommand },
  { name: 'show', summary: 'show one run, or the last attempt of a cell', group: looking, load: async () => (await import('./show.ts')).showCommand },
  { name: 'table', summary: 'cells as rows, params and metrics as columns', group: results, load: async () => (await import('./table.ts')).tableCommand },
  { name: 'compare', summary: 'two runs, cells or profiles side by side', group: results, load: async () => (await import('./compare.ts')).compareCommand },
  { name: 'plot', summary: 'draw metrics as SVG and in the terminal', group: results, load: async () => (await import('./plot.ts')).plotCommand },
  { name: 'report', summary: 'write the page of results', group: results, load: async () => (await import('./report.ts')).reportCommand },
  { name: 'sql', summary: 'read the results database with SQL', group: results, load: async () => (await import('./sql.ts')).sqlCommand },
  { name: 'get', summary: 'copy an output out of the cache', group: results, load: async () => (await import('./get.ts')).getCommand },
  { name: 'cache', summary: 'size, clean, check, pin and share what is kept', group: results, load: async () => (await import('./cache.ts')).cacheCommand },
  { name: 'hosts', summary: 'check GPU hosts and clusters', group: project, load: async () => (await import('./hosts.ts')).hostsCommand },
  { name: 'init', summary: 'start a project', group: project, load: async () => (await import('./init.ts')).initCommand },
  { name: 'validate', summary: 'check a pipeline file', group: project, load: async () => (await import('./validate.ts')).validateCommand },
  { name: 'schema', summary: 'print the JSON Schema of pipeline files', group: project, load: async () => (await import('./schema.ts')).schemaCommand },
  { name: 'doctor', summary: 'check this machine', group: project, load: async () => (await import('./doctor.ts')).doctorCommand },
  { name: 'completions', summary: 'print completions for bash, zsh or fish', group: project, load: async () => (await import('./completions.ts')).completionsCommand },
];
