/** What images are classified into, and by which words: as it is written in a pipeline, for `embed` and `classify`. */
import { z } from 'zod';
import type { EmbeddedRow } from './embedding-folder.ts';

export const classificationTask = z.strictObject({
  /** The label of an image: its modality, or the one class whose words its caption names. */
  from: z.enum(['modality', 'caption']),
  /** Prompts; `{}` stands for each of a class's words. */
  templates: z.array(z.string().includes('{}', { message: 'a template holds {} where the words of a class go' })).min(1),
  /** Class → words for it. With `from: modality` classes are named as modalities are. */
  classes: z
    .record(z.string().min(1), z.array(z.string().min(1)).min(1))
    .refine((classes) => Object.keys(classes).length >= 2, { message: 'there is nothing to choose among: name at least two classes' }),
});
export const classificationTasks = z.record(z.string().regex(/^[a-z][a-z0-9_]*$/, 'a name of small letters, digits and _'), classificationTask);

export type ClassificationTask = z.infer<typeof classificationTask>;

const escaped = (word: string): string => word.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');

/** The prompts of a task with the class of each, templates by words, class by class. */
export function taskPrompts({ templates, classes }: ClassificationTask): readonly { readonly text: string; readonly of: number }[] {
  return Object.values(classes).flatMap((words, of) => words.flatMap((word) => templates.map((template) => ({ text: template.replaceAll('{}', word), of }))));
}

/** All prompts of all tasks, each once. */
export const promptsOf = (tasks: Readonly<Record<string, ClassificationTask>>): readonly string[] => [
  ...new Set(Object.values(tasks).flatMap((task) => taskPrompts(task).map(({ text }) => text))),
];

/**
 * The class of each row, `[rows]`; −1 where the modality is none of them, or the caption names none or several.
 * @param captionOf the text of a row's caption, for `from: caption`
 */
export function labelsOf({ from, classes }: ClassificationTask, rows: readonly Pick<EmbeddedRow, 'id' | 'modality'>[], captionOf: (id: string) => string): Int32Array {
  const names = Object.keys(classes);
  if (from === 'modality') return Int32Array.from(rows, ({ modality }) => names.indexOf(modality));
  const patterns = Object.values(classes).map((words) => new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.map(escaped).join('|')})(?![\\p{L}\\p{N}])`, 'iu'));
  return Int32Array.from(rows, ({ id }) => {
    const caption = captionOf(id);
    const found = patterns.flatMap((pattern, of) => (pattern.test(caption) ? [of] : []));
    return found.length === 1 ? found[0]! : -1;
  });
}
