/** `pipe hosts`: whether cells can run on the hosts and clusters of the hosts file, and what would mend what is wrong. */
import { join } from 'node:path';
import { hostsFileName, loadHosts } from '../hosts/hosts-file.ts';
import type { Hosts } from '../hosts/model.ts';
import { chooseHosts } from '../hosts/placement.ts';
import { findProjectRoot } from '../pipeline/project.ts';
import type { Finding, HostReport } from '../remote/check-host.ts';
import { shownPath } from '../ui/lines.ts';
import { makeStyle } from '../ui/style.ts';
import { terminalFacts } from '../ui/terminal.ts';
import { padEnd } from '../ui/width.ts';
import type { CliContext, CommandModule } from './context.ts';
import { addHostGc } from './hosts-gc.ts';

export const hostsCommand: CommandModule = {
  name: 'hosts',
  register(program, context) {
    const command = program
      .command('hosts')
      .description('check GPU hosts and clusters; exit 3 when one cannot be used')
      .argument('[name...]', `as in ${hostsFileName}; all of them unless said`)
      .option('--json', 'print JSON')
      .action(async (names: string[], options: { json?: boolean }) => {
        const hosts = await loadHosts(findProjectRoot(join(context.cwd, 'pipe.yaml')), context.env);
        const chosen = chooseHosts(names, hosts);
        const [{ checkHost }, { hostPrograms }] = await Promise.all([import('../remote/check-host.ts'), import('../remote/programs.ts')]);
        const programs = hostPrograms(context.packageRoot);
        const here = { withoutGpus: await context.backends.portable('auto', false), withGpus: await context.backends.portable('auto', true) };
        const checks = chosen.map(host => checkHost(host, programs, here));
        if (options.json) context.stdout.write(`${JSON.stringify({ file: hosts.file, ok: (await Promise.all(checks)).every(({ ok }) => ok), hosts: await Promise.all(checks) })}\n`);
        else {
          if (hosts.file === null) context.stderr.write(`there is no ${hostsFileName}: cells run on this machine\n`);
          // Each as soon as it and those before it have answered.
          for (const check of checks) context.stdout.write(reportText(await check, hosts, context));
        }
        const reports = await Promise.all(checks);
        context.exit(reports.every(({ ok }) => ok) ? 0 : 3);
      });
    addHostGc(command, context);
  },
};

function reportText({ name, ok, findings }: HostReport, hosts: Hosts, context: CliContext): string {
  const style = makeStyle(terminalFacts(context.stdout, context.env).color);
  const marks: Readonly<Record<Finding['level'], string>> = { ok: style.good('✓'), note: style.warn('!'), missing: style.bad('✗') };
  const lines = findings.flatMap(({ what, level, says, mend }) => [
    `  ${marks[level]} ${padEnd(what, 12)} ${says}`,
    ...(mend === null ? [] : [`    ${padEnd('', 12)} ${style.accent(/^[a-z]+: /.test(mend) ? `in ${shownPath(hosts.file ?? hostsFileName, context.cwd)}: ${mend}` : `mend: ${mend}`)}`]),
  ]);
  return `${style.bold(name)}${ok ? '' : `: ${style.bad('cannot be used')}`}\n${lines.join('\n')}\n`;
}
