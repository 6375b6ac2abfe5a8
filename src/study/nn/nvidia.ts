/** NVIDIA's driver and processors on this machine, as `nvidia-smi` on PATH tells. */
import { execFileSync } from 'node:child_process';

/** The oldest driver that runs CUDA 12 (NVIDIA's table of minor version compatibility). */
export const oldestDriver = '525.60.13';

export interface Nvidia {
  readonly driver: string;
  /** Names, by index. */
  readonly names: readonly string[];
}

/** Why no graphics processor can be used, and what mends that. */
export interface NvidiaProblem {
  readonly problem: string;
  readonly mend: string;
}

/** What is there, or why it cannot be used. Takes some 50 ms. */
export function findNvidia(env: NodeJS.ProcessEnv): Nvidia | NvidiaProblem {
  let text: string;
  try {
    text = execFileSync('nvidia-smi', ['--query-gpu=driver_version,name', '--format=csv,noheader'], {
      env,
      encoding: 'utf8',
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const said = String((error as { stdout?: string }).stdout ?? '').trim().split('\n')[0]!;
    return {
      problem: missing ? 'there is no NVIDIA driver: `nvidia-smi` is not on PATH' : `\`nvidia-smi\` does not work${said === '' ? '' : `: ${said}`}`,
      mend: 'apt-get install nvidia-driver-570, and restart the machine',
    };
  }
  const rows = text.split('\n').filter((line) => line.trim() !== '').map((line) => line.split(',').map((field) => field.trim()));
  const driver = rows[0]?.[0];
  if (driver === undefined || !/^\d+(\.\d+)*$/.test(driver)) {
    return { problem: '`nvidia-smi` names no graphics processor', mend: 'check `nvidia-smi -L`' };
  }
  if (isOlder(driver, oldestDriver)) {
    return { problem: `the NVIDIA driver ${driver} is older than ${oldestDriver}, which CUDA 12 needs`, mend: 'apt-get install nvidia-driver-570, and restart the machine' };
  }
  return { driver, names: rows.map((row) => row.slice(1).join(', ')) };
}

function isOlder(version: string, than: string): boolean {
  const [left, right] = [version, than].map((text) => text.split('.').map(Number)) as [number[], number[]];
  for (const [index, part] of right.entries()) {
    if ((left[index] ?? 0) !== part) return (left[index] ?? 0) < part;
  }
  return false;
}
