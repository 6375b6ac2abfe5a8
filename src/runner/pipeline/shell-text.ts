/** Where in a shell text a value is put: quotes around it are closed and opened again, so that it stays one word. */

type Context = 'plain' | 'double' | 'single' | 'backtick';

/**
 * Follows the quoting of a shell text piece by piece. Here-documents are not followed: their bodies read as plain text.
 */
export class ShellQuoting {
  #stack: Context[] = ['plain'];
  #wordStart = true;

  /** The quote that is open at this place: `"`, `'`, or nothing. */
  get openQuote(): '"' | "'" | '' {
    const context = this.#stack.at(-1)!;
    return context === 'double' ? '"' : context === 'single' ? "'" : '';
  }

  /** Reads literal shell text. */
  read(text: string): void {
    for (let i = 0; i < text.length; i++) {
      const c = text[i]!;
      const context = this.#stack.at(-1)!;
      if (context === 'single') {
        if (c === "'") this.#stack.pop();
        continue;
      }
      if (c === '\\') {
        i++;
        this.#wordStart = false;
        continue;
      }
      if (context === 'double') {
        if (c === '"') this.#stack.pop();
        else if (c === '$' && text[i + 1] === '(') {
          this.#stack.push('plain');
          i++;
        } else if (c === '`') this.#toggleBacktick();
        continue;
      }
      if (c === '#' && this.#wordStart) {
        const end = text.indexOf('\n', i);
        if (end < 0) return;
        i = end;
        continue;
      }
      this.#wordStart = /[\s;|&(]/.test(c);
      if (c === "'") this.#stack.push('single');
      else if (c === '"') this.#stack.push('double');
      else if (c === '`') this.#toggleBacktick();
      else if (c === '(') this.#stack.push('plain');
      else if (c === ')' && this.#stack.length > 1 && context === 'plain') this.#stack.pop();
    }
  }

  #toggleBacktick(): void {
    const open = this.#stack.lastIndexOf('backtick');
    if (open >= 0) this.#stack.length = open;
    else this.#stack.push('backtick');
  }
}

/** A word that a POSIX shell reads back as exactly this text. */
export function shellQuote(text: string): string {
  if (text !== '' && /^[A-Za-z0-9_@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
