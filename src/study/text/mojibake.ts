/**
 * Repairs text whose UTF-8 bytes were once read as Windows-1252 or Latin-1 ("cafÃ©", "10Â°", "itâ€™s"). What counts
 * as damage follows the aims of ftfy (https://ftfy.readthedocs.io), reduced to these two encodings: sequences
 * are repaired only where they decode as UTF-8 and one of them hardly occurs in honest text.
 */

/** Characters of Windows-1252 for bytes 0x80–0x9F; the five unassigned bytes stand for themselves. */
const windows1252 =
  '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f' +
  '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

/** What a UTF-8 continuation byte looks like once misread: itself as Latin-1, or its Windows-1252 character. */
const continuation = `[\\x80-\\xbf${windows1252}]`;

const longSequences = [`[\\xf0-\\xf4]${continuation}{3}`, `[\\xe0-\\xef]${continuation}{2}`];
/** A byte that was lost on the way: "â€" and a replacement character. */
const lossy = `\\xe2[\\x80${windows1252[0]}]\\ufffd`;

/**
 * Sequences that honest text hardly holds. Â, Ã, Î and Ð are rare before any misread byte; other accented capitals count only
 * before signs that no word continues with and no quotation ends or begins with.
 */
const convincing = new RegExp(
  [
    // ftfy leaves "â„¢" and "Ã¥" alone where nothing else is wrong, and equal tokens matter more here than better text.
    ...longSequences.map((sequence) => `(?!\\xe2\\u201e\\xa2)${sequence}`),
    `[\\xc2\\xc3\\xce\\xd0](?!\\xa5)${continuation}`,
    '[\\xc4-\\xd1][\\x80-\\x9f\\xa1-\\xa9\\xac-\\xb6\\xb8-\\xba\\xbc-\\xbe\\u0192\\u02c6\\u02dc\\u2020\\u2021\\u2030\\u20ac]',
    lossy,
  ].join('|'),
);
/** All sequences that decode: where one is convincing, the others were misread with it. */
const damaged = new RegExp([...longSequences, `[\\xc2-\\xdf]${continuation}`, lossy].join('|'), 'g');
const c1Control = /[\x80-\x9f]/g;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** `text` with misread UTF-8 repaired, repeatedly misread text too, and C1 controls read as Windows-1252. */
export function repairMojibake(text: string): string {
  let repaired = text;
  while (convincing.test(repaired)) {
    const before = repaired;
    repaired = before.replaceAll(damaged, decodeSequence);
    if (repaired === before) break;
  }
  return repaired.replaceAll(c1Control, (control) => windows1252[control.charCodeAt(0) - 0x80] ?? control);
}

function decodeSequence(sequence: string): string {
  if (sequence.endsWith('\ufffd')) return '\ufffd';
  const bytes = Uint8Array.from(sequence, (character) => {
    const at = windows1252.indexOf(character);
    return at >= 0 ? 0x80 + at : character.charCodeAt(0);
  });
  try {
    return utf8.decode(bytes);
  } catch {
    return sequence; // overlong forms and surrogates are no UTF-8
  }
}
