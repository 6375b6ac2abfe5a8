import { listRuns } from '../store/history.ts';
import { openStore } from '../store/store.ts';
import { formatDuration, formatTime } from '../ui/format.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { textTable } from '../ui/text-table.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CommandModule } from './context.ts';
import { addCacheOptions, positiveInteger } from './options.ts';

export const historyCommand: CommandModule = {
  name: 'history',
  register(program, context) {
    addCacheOptions(program.command('history').description('list the runs, newest first'))
      .option('-n, --limit <n>', 'how many', positiveInteger, 20)
      .option('--pipeline <name>', 'only runs of this pipeline')
      .action((options: { cache?: string; json?: boolean; limit: number; pipeline?: string }) => {
        const store = openStore({ cache: cacheFolder(options.cache, null, context), mode: 'read' });
        try {
          const runs = listRuns(store.database, { limit: options.limit, ...(options.pipeline === undefined ? {} : { pipeline: options.pipeline }) });
          if (options.json) {
            context.stdout.write(`${JSON.stringify(runs)}\n`);
            return;
          }
          const style = makeStyle(terminalFacts(context.stdout, context.env).color);
          if (runs.length === 0) context.stdout.write('no runs yet\n');
          else {
            context.stdout.write(textTable({
              columns: ['run', 'pipeline', 'profile', 'started', 'took', 'exit', 'ran', 'fresh', 'failed', 'command'],
              rows: runs.map(run => [
                String(run.id), run.pipeline, run.profile, formatTime(run.startedAt),
                run.endedAt === null ? 'not ended' : formatDuration(run.endedAt - run.startedAt),
                run.exitCode, run.summary?.['ran'], run.summary?.['fresh'], run.summary?.['failed'], run.command.join(' '),
              ]),
            }, style.dim));
          }
        } finally {
          store.close();
        }
      });
  },
};
