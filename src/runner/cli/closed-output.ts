/** Output that nobody takes any more: a reader such as `head` that has seen enough, or a terminal that was closed. Neither is a failure. */
import { closeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { outputFailed } from './stop-signals.ts';

/** To be called once, when the program starts. */
export function tolerateClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
      if (!outputFailed(error)) process.exit(process.exitCode ?? 0);
    });
  }
  // Node puts the terminal's settings back when it ends, and aborts where it cannot: a descriptor that is closed it leaves alone.
  const terminals = [0, 1, 2].filter(descriptor => isatty(descriptor));
  process.on('exit', () => {
    for (const descriptor of terminals) if (!isatty(descriptor)) closeSync(descriptor);
  });
}
