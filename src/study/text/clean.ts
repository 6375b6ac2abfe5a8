/**
 * What CLIP does to text before it cuts words: `ftfy.fix_text`, `html.unescape` twice, white space collapsed, lower case.
 */
import { decodeHTML } from 'entities';
import { repairMojibake } from './mojibake.ts';

const plainAscii = /^[\t\n\r\f\x20-\x25\x27-\x7e]*$/;
/** Unicode's White_Space, as Python's `regex` has it: with U+0085, without U+FEFF. */
const whiteSpace = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/g;

/**
 * Cleaned text, lower case, ready to be cut into words.
 * @param repair whether ftfy's part is done
 */
export function cleanText(text: string, repair: boolean): string {
  if (plainAscii.test(text)) return text.toLowerCase(); // nothing to repair; white space separates words as it is
  const fixed = unescapeTwice(repair ? fixText(text) : text);
  return fixed.replaceAll(whiteSpace, ' ').trim().toLowerCase();
}

function unescapeTwice(text: string): string {
  return text.includes('&') ? decodeHTML(decodeHTML(text)) : text;
}

/** The default steps of ftfy's `fix_text`, each line by itself, repeated until nothing changes. */
function fixText(text: string): string {
  let mayUnescape = true;
  return text
    .split(/(?<=\n)/)
    .map((line) => {
      if (line.includes('<')) mayUnescape = false; // from here on it may be HTML that is meant as such
      return fixLine(line, mayUnescape);
    })
    .join('');
}

function fixLine(line: string, mayUnescape: boolean): string {
  let fixed = line;
  for (;;) {
    const before = fixed;
    if (mayUnescape && !fixed.includes('<')) fixed = fixed.replaceAll(/&#?[0-9A-Za-z]{1,24};/g, unescapeReference);
    fixed = repairMojibake(fixed)
      .replaceAll(/[\u0132\u0133\u0149\u01c4-\u01cc\u01f1-\u01f3\ufb00-\ufb06]/g, (ligature) => ligatures[ligature] ?? ligature)
      .replaceAll(/[\uff01-\uffef]/g, (wide) => wide.normalize('NFKC'))
      .replaceAll('\u3000', ' ')
      .replaceAll(/[\u02bc\u2018-\u201b]/g, "'")
      .replaceAll(/[\u201c-\u201f]/g, '"')
      .replaceAll(/\r\n|[\r\u2028\u2029\x85]/g, '\n')
      .replaceAll(/\p{Surrogate}/gu, '\ufffd')
      .replaceAll(/\x1b\[[\d;]*[a-zA-Z]/g, '')
      .replaceAll(/[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, '')
      .normalize('NFC');
    if (fixed === before) return fixed;
  }
}

/** A character reference that ends in `;`; names in capitals too, when they have no meaning of their own (`&EACUTE;`). */
function unescapeReference(reference: string): string {
  const decoded = decodeHTML(reference);
  if (decoded !== reference) return decoded.includes(';') && reference !== '&semi;' ? reference : decoded;
  if (reference !== reference.toUpperCase()) return reference;
  const lower = reference.toLowerCase();
  const letter = decodeHTML(lower);
  return letter === lower ? reference : letter.toUpperCase();
}

const ligatures: Readonly<Record<string, string>> = {
  '\u0132': 'IJ',
  '\u0133': 'ij',
  '\u0149': '\u02bcn',
  '\u01c4': 'D\u017d',
  '\u01c5': 'D\u017e',
  '\u01c6': 'd\u017e',
  '\u01c7': 'LJ',
  '\u01c8': 'Lj',
  '\u01c9': 'lj',
  '\u01ca': 'NJ',
  '\u01cb': 'Nj',
  '\u01cc': 'nj',
  '\u01f1': 'DZ',
  '\u01f2': 'Dz',
  '\u01f3': 'dz',
  '\ufb00': 'ff',
  '\ufb01': 'fi',
  '\ufb02': 'fl',
  '\ufb03': 'ffi',
  '\ufb04': 'ffl',
  '\ufb05': '\u017ft',
  '\ufb06': 'st',
};
