import type { ProgramFunction, StepOptions } from './compiled-step.ts';
import { recordProgram } from './record-program.ts';
import type { RecordedProgram } from './record-program.ts';

/** A step is not the same every time it is written down. */
export class UnstableStepError extends Error {
  override readonly name = 'UnstableStepError';
  readonly hint = 'feed what changes between calls (masks, indices, rates), or derive it from a seed inside the step';
}

/**
 * Records the program, and once more to compare: a recorded graph freezes what JavaScript drew or decided meanwhile, random
 * numbers above all. @throws UnstableStepError naming the first operation that differs, and its line.
 */
export function verifiedRecording(functions: Readonly<Record<string, ProgramFunction>>, options: StepOptions): RecordedProgram {
  const first = recordProgram(functions, options);
  if (options.verify === false) return first;
  const second = recordProgram(functions, options);
  const length = Math.max(first.nodes.length, second.nodes.length);
  for (let index = 0; index < length; index++) {
    const [a, b] = [first.nodes[index], second.nodes[index]];
    if (a !== undefined && b !== undefined && a.bytes.equals(b.bytes)) continue;
    // Once more with lines, which are too dear to keep for every node.
    const line = recordProgram(functions, options, true).nodes[index]?.line ?? null;
    const what = a === undefined || b === undefined || a.operation !== b.operation ? 'other operations' : `another ${a.operation}`;
    throw new UnstableStepError(
      `recorded twice, the step gives ${what} (node ${index}${line === null ? '' : `, ${line}`}): ` +
        'a random number, a date or a branch would be frozen in the graph',
    );
  }
  return first;
}
