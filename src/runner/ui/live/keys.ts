/** Single keys of a terminal, while something is shown on it. */

/** A key as one character, or `interrupt` (Ctrl-C), which comes as a key while the terminal is read this way, or `escape`. */
export type OnKey = (key: string) => void;

/** Until the function that is returned is called; then the terminal is as it was. */
export function listenForKeys(stdin: NodeJS.ReadStream, onKey: OnKey): () => void {
  const onData = (text: string): void => keysOf(text).forEach(onKey);
  stdin.setEncoding('utf8');
  stdin.setRawMode(true);
  stdin.off('error', ignore).on('error', ignore).on('data', onData);
  return () => {
    stdin.setRawMode(false);
    stdin.pause();
    // The listener for errors stays: a read that is under way may still fail.
    stdin.off('data', onData);
  };
}

/** A terminal that is closed ends the run by its signal; that it cannot be read either is no news. */
const ignore = (): void => {};

/** What was typed in one go. Keys that send a sequence (arrows, function keys) and pasted text mean nothing. */
export function keysOf(text: string): string[] {
  if (text === '\u001b') return ['escape'];
  if (text.includes('\u001b')) return [];
  return [...text].flatMap(character => (character === '\u0003' ? ['interrupt'] : character >= ' ' ? [character] : []));
}
