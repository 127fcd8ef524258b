/**
 * The keys of the search index, and what is under them.
 *
 * ```text
 * f/<path>              the catalogue: a file's generation and stamp   (JSON)
 * g/<generation>/       the generation's record                        (JSON)
 * g/<generation>/<line> the text of one line
 * t/<term>\0<generation> a posting: where the term occurs in the file
 * x/<generation>        a dropped generation: its postings left over   (JSON)
 * totals                files, words, and the next generation          (JSON)
 * ```
 *
 * Each indexing of a file is a *generation* with a number of its own. All that
 * belongs to it and is read by it lies side by side under `g/<generation>/`,
 * so that one range delete drops it, however long the file. Its postings lie
 * with their terms, scattered; without the generation's record they count for
 * nothing, and a sweep removes them later. Indexing a file anew is therefore
 * one range delete and the puts of the new generation, in one atomic batch.
 *
 * @module
 */

/** What the catalogue holds of a file. */
export interface CatalogueEntry {
  readonly generation: string;
  /** Changes when the file does. */
  readonly stamp: string;
}

/** What is known of one generation of a file. */
export interface GenerationRecord {
  readonly path: string;
  readonly lines: number;
  readonly words: number;
  /** Different terms, and so postings. */
  readonly terms: number;
}

/** A generation that was dropped, but not yet swept. */
export interface DroppedRecord {
  /** Its postings, which are still there. */
  readonly terms: number;
}

/** Sums over the live generations. */
export interface Totals {
  readonly files: number;
  readonly words: number;
  readonly nextGeneration: number;
}

export const TOTALS_KEY = "totals";
export const CATALOGUE = "f/";
export const GENERATIONS = "g/";
export const POSTINGS = "t/";
export const DROPPED = "x/";

/** Widths of the numbers in keys: fixed, so that keys sort as numbers do. */
const GENERATION_DIGITS = 8;
const LINE_DIGITS = 7;

/** No term holds a zero character, so no term is another's prefix with it. */
const TERM_END = "\0";

/** A generation's number as it stands in keys. */
export function generationName(number: number): string {
  return String(number).padStart(GENERATION_DIGITS, "0");
}

export function catalogueKey(path: string): string {
  return CATALOGUE + path;
}

export function recordKey(generation: string): string {
  return `${GENERATIONS}${generation}/`;
}

export function lineKey(generation: string, line: number): string {
  return recordKey(generation) + String(line).padStart(LINE_DIGITS, "0");
}

/** The keys of a generation as [start, end): `0` follows `/`. */
export function generationRange(generation: string): [string, string] {
  return [`${GENERATIONS}${generation}/`, `${GENERATIONS}${generation}0`];
}

/** What every posting of a term begins with. */
export function termPrefix(term: string): string {
  return POSTINGS + term + TERM_END;
}

export function postingKey(term: string, generation: string): string {
  return termPrefix(term) + generation;
}

export function droppedKey(generation: string): string {
  return DROPPED + generation;
}

/** The term and generation of a posting's key. */
export function parsePostingKey(key: string): [string, string] {
  const end = key.lastIndexOf(TERM_END);
  return [key.slice(POSTINGS.length, end), key.slice(end + 1)];
}

/** The generation of a key below `g/`, and its line or -1 for the record. */
export function parseGenerationKey(key: string): [string, number] {
  const end = key.indexOf("/", GENERATIONS.length);
  const line = key.slice(end + 1);
  const generation = key.slice(GENERATIONS.length, end);
  return [generation, line === "" ? -1 : Number(line)];
}
