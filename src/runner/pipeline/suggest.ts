import { closest } from '../../closest.ts';

export { closest };

const listed = 12;

/** `a, b, c`, cut after a dozen. */
export function listNames(names: readonly string[]): string {
  if (names.length <= listed) return names.join(', ');
  return `${names.slice(0, listed).join(', ')} and ${names.length - listed} more`;
}

/** "did you mean `x`?", or the valid choices, or null when there are none. */
export function suggestion(word: string, candidates: readonly string[], what: string): string | null {
  const meant = closest(word, candidates);
  if (meant !== null) return `did you mean \`${meant}\`?`;
  if (candidates.length === 0) return null;
  return `${what}: ${listNames(candidates)}`;
}
