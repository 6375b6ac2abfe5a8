import { closeSync, constants, ftruncateSync, openSync, writeSync } from 'node:fs';

/** Writes a file that may be there already: not anew, which makes some file systems put the old one to disk first. */
export function writeOver(path: string, text: string, mode = 0o666): void {
  const bytes = Buffer.from(text);
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, mode);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}
