/** What stands behind an error of this process itself, as opposed to a stage's. */
import type { FailureCause } from '../store/model.ts';

export function causeOf(error: unknown): FailureCause {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL' ? 'disk-full' : 'internal';
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
