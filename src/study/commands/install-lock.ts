import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CommandError } from './command.ts';

/** Runs `work` while no other process installs into the folder; a lock left by a process that has ended is taken over. */
export async function withInstallLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const path = join(folder, 'install.lock');
  for (let attempt = 0; ; attempt++) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const owner = Number(await readFile(path, 'utf8').catch(() => ''));
      if (attempt > 0 || isRunning(owner)) {
        throw new CommandError(`process ${owner} is installing into ${folder}`, 1, 'wait for it to end, then: pipe backend info');
      }
      await rm(path, { force: true });
    }
  }
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
