/** `pipe doctor`: what this machine has, and what that means. Exit 3 when something is missing that every run needs. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statfsSync, symlinkSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import { formatBytes, plural } from '../ui/format.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { padEnd } from '../ui/width.ts';
import { cacheFolder } from './cache-folder.ts';
import type { CliContext, CommandModule } from './context.ts';

interface Finding {
  readonly what: string;
  readonly level: 'ok' | 'note' | 'missing';
  readonly says: string;
}

export const doctorCommand: CommandModule = {
  name: 'doctor',
  register(program, context) {
    program
      .command('doctor')
      .description('check this machine')
      .option('--cache <folder>', 'the cache to use instead of cache/ (or PIPE_CACHE)')
      .option('--json', 'print JSON')
      .action(async (options: { cache?: string; json?: boolean }) => {
        const findings = [node(), machine(), await database(), cache(cacheFolder(options.cache, null, context)), shell(context), gpu(), ...(await backends(context))];
        const missing = findings.some(finding => finding.level === 'missing');
        if (options.json) context.stdout.write(`${JSON.stringify({ ok: !missing, findings })}\n`);
        else {
          const style = makeStyle(terminalFacts(context.stdout, context.env).color);
          const marks = { ok: style.good('✓'), note: style.warn('!'), missing: style.bad('✗') };
          for (const { what, level, says } of findings) context.stdout.write(`${marks[level]} ${padEnd(what, 18)} ${says}\n`);
        }
        context.exit(missing ? 3 : 0);
      });
  },
};

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 19);
  return { what: 'Node', level: enough ? 'ok' : 'missing', says: enough ? process.versions.node : `${process.versions.node}, and 20.19 or later is needed` };
}

function machine(): Finding {
  return { what: 'machine', level: 'ok', says: `${plural(availableParallelism(), 'core')}, ${formatBytes(totalmem())} of memory, ${process.platform} ${process.arch}` };
}

async function database(): Promise<Finding> {
  try {
    const { default: Database } = await import('better-sqlite3');
    const memory = new Database(':memory:');
    const version = memory.prepare('select sqlite_version()').pluck().get();
    memory.close();
    return { what: 'SQLite', level: 'ok', says: String(version) };
  } catch (error) {
    return { what: 'SQLite', level: 'missing', says: `better-sqlite3 does not load (${messageOf(error)}): run \`npm rebuild better-sqlite3\`` };
  }
}

/** What committing an output needs of the file system: writing, renaming, links; and room. */
function cache(folder: string): Finding {
  try {
    mkdirSync(folder, { recursive: true });
    const probe = mkdtempSync(join(folder, '.doctor-'));
    try {
      writeFileSync(join(probe, 'a'), 'a');
      renameSync(join(probe, 'a'), join(probe, 'b'));
      symlinkSync('b', join(probe, 'c'));
    } finally {
      rmSync(probe, { recursive: true, force: true });
    }
    const { bavail, bsize, type } = statfsSync(folder);
    const free = bavail * bsize;
    const network = type === 0x6969 || type === 0xff534d42 || type === 0xfe534d42 || type === 0x0bd00bd0;
    const says = `${folder}: ${formatBytes(free)} free${network ? ', on a network file system: SQLite is safe there for one machine only' : ''}`;
    return { what: 'cache', level: network || free < 1e9 ? 'note' : 'ok', says };
  } catch (error) {
    return { what: 'cache', level: 'missing', says: `${folder} cannot be used: ${messageOf(error)}` };
  }
}

function shell(context: CliContext): Finding {
  const there = ['sh', 'git', 'python3'].filter(name => onPath(name, context));
  if (!there.includes('sh')) return { what: 'shell', level: 'missing', says: 'there is no sh on the PATH: `run:` stages cannot start' };
  return { what: 'programs', level: 'ok', says: there.join(', ') };
}

function onPath(name: string, context: CliContext): boolean {
  return (context.env['PATH'] ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false; // not in this folder
    }
  });
}

function gpu(): Finding {
  try {
    const text = execFileSync('nvidia-smi', ['--query-gpu=name,memory.total', '--format=csv,noheader'], {
      encoding: 'utf8', timeout: 10_000, stdio: ['ignore', 'pipe', 'ignore'],
    });
    return { what: 'GPU', level: 'ok', says: text.trim().replaceAll('\n', '; ') };
  } catch {
    return { what: 'GPU', level: 'note', says: existsSync('/dev/nvidia0') ? 'a device is there, but nvidia-smi does not answer' : 'none: stages run on the processor' };
  }
}

async function backends(context: CliContext): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const name of context.backends.names) {
    try {
      findings.push({ what: `backend ${name}`, level: 'ok', says: await context.backends.identity(name) });
    } catch (error) {
      findings.push({ what: `backend ${name}`, level: 'note', says: messageOf(error) });
    }
  }
  return findings;
}

const messageOf = (error: unknown): string => (error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
