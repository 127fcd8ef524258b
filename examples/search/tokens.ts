/**
 * How text becomes the terms that are indexed and searched for.
 *
 * A word is a run of letters, digits and underscores, in lower case. A name
 * made of several words counts as itself and as each of them: `deleteRange`
 * gives `deleterange`, `delete` and `range`.
 *
 * @module
 */

const WORD = /[\p{L}\p{N}_]+/gu;
const NAME_BOUNDARY = /_+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/;
const IS_PLAIN = /^(?:[a-z0-9]+|[A-Z][a-z0-9]*)$/;

/** Terms shorter or longer than this are not indexed. */
const TERM_LENGTH_MIN = 2;
const TERM_LENGTH_MAX = 64;

/** Calls `found` with every term of a line, as often as it occurs. */
export function eachTerm(line: string, found: (term: string) => void): void {
  for (const [word] of line.matchAll(WORD)) {
    emit(word, found);
    if (IS_PLAIN.test(word)) continue;
    const parts = word.split(NAME_BOUNDARY);
    if (parts.length === 1) continue;
    for (const part of parts) emit(part, found);
  }
}

function emit(word: string, found: (term: string) => void): void {
  const { length } = word;
  if (length < TERM_LENGTH_MIN || length > TERM_LENGTH_MAX) return;
  found(word.toLowerCase());
}

/** One word of a query. */
export interface QueryWord {
  /** The term, or the beginning of terms. */
  readonly text: string;
  /** Whether every term that begins so counts: it was written `text*`. */
  readonly isPrefix: boolean;
}

/** Reads a query: words, each perhaps with a `*` at its end. All must occur. */
export function parseQuery(query: string): QueryWord[] {
  const words: QueryWord[] = [];
  for (const [written] of query.matchAll(/[\p{L}\p{N}_]+\*?/gu)) {
    const isPrefix = written.endsWith("*");
    const text = (isPrefix ? written.slice(0, -1) : written).toLowerCase();
    const isShort = text.length < TERM_LENGTH_MIN && !isPrefix;
    if (!isShort) words.push({ text, isPrefix });
  }
  return words;
}

/** Whether a term is what a word of a query asks for. */
export function matches(term: string, word: QueryWord): boolean {
  return word.isPrefix ? term.startsWith(word.text) : term === word.text;
}
