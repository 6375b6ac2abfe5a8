/** Whether some process has this number: enough to tell whether files that carry it can still be in use. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's, then.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
