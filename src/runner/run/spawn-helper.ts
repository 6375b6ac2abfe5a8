/**
 * The program that starts stages' processes for a run: `spawn-helper.js`, requests on stdin and answers on stdout, a JSON value a
 * line. A process is copied when it starts another one, and then waits until that one's program is loaded: this one is small, and
 * the run goes on meanwhile. It ends when its stdin does.
 */
import { createInterface } from 'node:readline';
import { launchHere } from './launch.ts';
import type { HelperAnswer, HelperRequest } from './spawn-messages.ts';

const answer = (message: HelperAnswer): void => void process.stdout.write(`${JSON.stringify(message)}\n`);

process.stdout.on('error', () => process.exit(0));
const lines = createInterface({ input: process.stdin });
lines.on('close', () => process.exit(0));
lines.on('line', line => {
  const { id, request } = JSON.parse(line) as HelperRequest;
  launchHere(request).then(
    ({ pid, ended }) => {
      answer({ id, pid });
      void ended.then(end => answer({ id, end }));
    },
    (error: unknown) => {
      const { code, syscall, message } = error as NodeJS.ErrnoException;
      answer({ id, error: { code, syscall, message } });
    },
  );
});
