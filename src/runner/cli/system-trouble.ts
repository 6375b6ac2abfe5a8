/** Errors of the system that no command expects at the place where they came: the machine lacks something, it is no bug. */
import { PipeError } from '../diagnostic.ts';

interface Trouble {
  readonly code: string;
  readonly what: string;
  readonly hint: string;
}

const files: Trouble = { code: 'too-many-files', what: 'too many files are open', hint: 'raise the limit (`ulimit -n`), or run fewer cells at once (-j)' };
const full: Trouble = { code: 'disk-full', what: 'no space left', hint: 'make room, with `pipe cache gc` for example; what was committed is safe' };
const denied: Trouble = { code: 'permission-denied', what: 'permission denied', hint: 'see who owns it, or give another cache with --cache' };
const device: Trouble = { code: 'io-error', what: 'the disk, or the network it is on, has failed', hint: 'see what the system says (dmesg)' };

const troubles: Readonly<Record<string, Trouble>> = {
  EMFILE: files, ENFILE: files, ENOSPC: full, EDQUOT: full, SQLITE_FULL: full, EACCES: denied, EPERM: denied, EIO: device, ESTALE: device,
  EROFS: { code: 'read-only', what: 'the file system is read-only', hint: 'give another cache with --cache' },
  ENOMEM: { code: 'out-of-memory', what: 'out of memory', hint: 'run fewer cells at once (-j)' },
  EAGAIN: { code: 'too-many-processes', what: 'no more processes can be started', hint: 'raise the limit (`ulimit -u`), or run fewer cells at once (-j)' },
};

/** As an expected error with exit code 3; null for what is none of these. */
export function systemTrouble(error: unknown): PipeError | null {
  if (!(error instanceof Error) || error instanceof PipeError) return null;
  const { code, path, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined) return null;
  const make = ({ code: name, what, hint }: Trouble): PipeError =>
    new PipeError(`${what}${path === undefined ? '' : `: ${path}`}${syscall === undefined ? '' : ` (${code}, ${syscall})`}`, { exitCode: 3, code: name, hint, cause: error });
  if (code.startsWith('SQLITE_BUSY')) {
    return make({ code: 'database-locked', what: 'another program has kept the results database locked for too long', hint: 'end it; nothing needs to be put in order by hand' });
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return make({ code: 'database-damaged', what: 'the results database is damaged', hint: '`pipe run` moves it aside and begins a new one' });
  }
  if (code.startsWith('SQLITE_READONLY')) {
    return make({ code: 'database-unwritable', what: 'the results database cannot be written', hint: 'check the permissions of the cache folder, or give another with --cache' });
  }
  if (code.startsWith('SQLITE_IOERR') || code === 'SQLITE_CANTOPEN') {
    return make({ code: 'database-io', what: `the results database cannot be read or written (${code})`, hint: 'a full or failing disk, or too many open files (`ulimit -n`)' });
  }
  const trouble = troubles[code];
  return trouble === undefined ? null : make(trouble);
}
