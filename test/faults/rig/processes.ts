/** Processes that belong to a project, as the kernel tells. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

/** Those with the folder in their environment or command line, or that work in it: `pid command`. Ended ones that nobody has collected do not count. */
export function processesOf(folder: string): string[] {
  return readdirSync('/proc').filter(name => /^\d+$/.test(name) && Number(name) !== process.pid).flatMap(pid => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (/^\S+ Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^\d+ \(.*\)/s, 'x'))) return [];
      const its = command.includes(folder) || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder);
      return its ? [`${pid} ${command}`] : [];
    } catch {
      return []; // ended meanwhile, or a thread of the kernel
    }
  });
}
