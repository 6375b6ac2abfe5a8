/** What kind of word each word of a caption is, for the reducer that keeps nouns first. */
import nlp from 'compromise/two';

/** The order in which syntax masking keeps words: nouns, adjectives, verbs, all others (CLIPA; Li et al., 2023). */
export const wordClass = { noun: 1, adjective: 2, verb: 3, other: 4 } as const;
export type WordClass = (typeof wordClass)[keyof typeof wordClass];

interface Term {
  readonly offset: { readonly start: number; readonly length: number };
  readonly tags: readonly string[];
}

/**
 * The class of each of `words`, which are cut from `text` in order. The tagger is compromise's; CLIPA's code takes NLTK's, and
 * the two agree on most words of a caption. Pronouns, determiners and numbers are `other`, as in the Penn tags NN*, JJ*, VB*.
 */
export function wordClasses(text: string, words: readonly string[]): Uint8Array {
  const sentences = nlp(text).json({ offset: true, terms: { offset: true, tags: true } }) as readonly { readonly terms: readonly Term[] }[];
  const terms = sentences.flatMap((sentence) => sentence.terms).filter(({ offset }) => offset.length > 0);
  const classes = new Uint8Array(words.length);
  let at = 0;
  let term = 0;
  words.forEach((word, index) => {
    const start = text.indexOf(word, at);
    at = start + word.length;
    while (term < terms.length && terms[term]!.offset.start + terms[term]!.offset.length <= start) term++;
    const found = terms[term];
    const covered = found !== undefined && found.offset.start <= start && /\p{L}/u.test(word);
    classes[index] = covered ? classOf(found.tags) : wordClass.other;
  });
  return classes;
}

function classOf(tags: readonly string[]): WordClass {
  if (tags.includes('Pronoun') || tags.includes('Value')) return wordClass.other;
  if (tags.includes('Noun')) return wordClass.noun;
  if (tags.includes('Adjective')) return wordClass.adjective;
  return tags.includes('Verb') ? wordClass.verb : wordClass.other;
}
