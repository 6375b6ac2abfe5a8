import { existsSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The addon that holds stderr back, beside TensorFlow's in its folder. */
export const holdStderrFile = 'hold_stderr.node';

interface HoldStderr {
  hold(): void;
  /** What was written since. */
  release(): string;
}

/**
 * Loads an addon; if `quiet`, of what its libraries write to stderr meanwhile only warnings and errors come out.
 * Installations that have no means to hold stderr back are loaded as they are.
 */
export function loadAddon(path: string, { quiet }: { quiet: boolean }): unknown {
  const module: { exports: unknown } = { exports: {} };
  const holder = join(dirname(path), holdStderrFile);
  if (!quiet || !existsSync(holder)) {
    process.dlopen(module, path);
    return module.exports;
  }
  const held: { exports: unknown } = { exports: {} };
  process.dlopen(held, holder);
  const { hold, release } = held.exports as HoldStderr;
  hold();
  try {
    process.dlopen(module, path);
  } finally {
    const text = withoutInformation(release());
    if (text !== '') writeSync(2, text);
  }
  return module.exports;
}

/** Log lines of TensorFlow's begin with a letter for their severity and the date: `I0000 00:00:1795631375.375943 …`. */
const information = /^I\d{4} /;
const preamble = /^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR$/;

/** The second line of the message about the processor's instructions. */
const goesOn = /^To enable the following instructions: /;

/** All but lines of information, and the line that says where lines go. */
export function withoutInformation(text: string): string {
  const rest = text.split('\n').filter((line) => ![information, preamble, goesOn].some((known) => known.test(line)));
  return rest.every((line) => line === '') ? '' : rest.join('\n');
}
