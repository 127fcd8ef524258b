/**
 * Answers queries: files that have every word, the best first.
 *
 * Ranked by Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance
 * Framework", 2009). A word with a `*` counts as one term that occurs wherever
 * a term with that beginning does.
 *
 * @module
 */
import type { Snapshot } from "../../mod.ts";
import { decodePosting } from "./postings.ts";
import {
  type GenerationRecord,
  lineKey,
  parsePostingKey,
  POSTINGS,
  recordKey,
  termPrefix,
  type Totals,
  TOTALS_KEY,
} from "./schema.ts";
import { decodeRecord, decodeText } from "./search_index.ts";
import { parseQuery, type QueryWord } from "./tokens.ts";

/** What queries read: the index as of one moment. */
export type View = Snapshot<string, Uint8Array>;

const BM25_K1 = 1.2;
const BM25_B = 0.75;

/** A file that was found. */
export interface Hit {
  readonly path: string;
  readonly generation: string;
  readonly score: number;
  /** The line that shows best why, from 0. */
  readonly line: number;
}

/** What is known of one word of the query in one file. */
interface Occurrences {
  count: number;
  readonly lines: Set<number>;
}

/** Finds the files that have every word of a query, the best first. */
export function search(view: View, query: string): Hit[] {
  const words = parseQuery(query);
  if (words.length === 0) return [];
  const byWord = words.map((word) => occurrencesOf(view, word));
  const generations = intersection(byWord);
  const records = view.getMany(generations.map(recordKey));
  const totals = readTotals(view);
  const hits: Hit[] = [];
  for (const [position, generation] of generations.entries()) {
    const value = records[position];
    if (value === undefined) continue; // a dropped generation, not yet swept
    const record = decodeRecord<GenerationRecord>(value);
    const found = byWord.map((word) => word.get(generation) ?? NOWHERE);
    const score = bm25(record, found, byWord.map((word) => word.size), totals);
    const line = bestLine(found);
    hits.push({ path: record.path, generation, score, line });
  }
  return hits.sort((a, b) => b.score - a.score || (a.path < b.path ? -1 : 1));
}

/** The text of the line that a hit points at. */
export function lineOf(view: View, hit: Hit): string {
  const value = view.get(lineKey(hit.generation, hit.line));
  return value === undefined ? "" : decodeText(value);
}

const NOWHERE: Occurrences = { count: 0, lines: new Set() };

/** One scan over the postings of a word, by generation. */
function occurrencesOf(view: View, word: QueryWord): Map<string, Occurrences> {
  const prefix = word.isPrefix ? POSTINGS + word.text : termPrefix(word.text);
  const found = new Map<string, Occurrences>();
  for (const [key, value] of view.scan({ prefix })) {
    const [, generation] = parsePostingKey(key);
    const posting = decodePosting(value);
    const known = found.get(generation);
    if (known === undefined) {
      const lines = new Set(posting.lines);
      found.set(generation, { count: posting.count, lines });
    } else {
      known.count += posting.count;
      for (const line of posting.lines) known.lines.add(line);
    }
  }
  return found;
}

/** The generations that all words occur in. */
function intersection(byWord: Map<string, Occurrences>[]): string[] {
  const [rarest, ...others] = byWord.toSorted((a, b) => a.size - b.size);
  if (rarest === undefined) return [];
  return [...rarest.keys()].filter((generation) =>
    others.every((word) => word.has(generation))
  );
}

function readTotals(view: View): Totals {
  const value = view.get(TOTALS_KEY);
  return value === undefined
    ? { files: 0, words: 0, nextGeneration: 1 }
    : decodeRecord<Totals>(value);
}

function bm25(
  record: GenerationRecord,
  found: Occurrences[],
  documentCounts: number[],
  totals: Totals,
): number {
  const lengthMean = totals.words / Math.max(1, totals.files) || 1;
  const norm = BM25_K1 * (1 - BM25_B + BM25_B * record.words / lengthMean);
  let score = 0;
  for (const [position, { count }] of found.entries()) {
    // Not yet swept postings count too: at worst a word seems less rare.
    const inFiles = Math.min(documentCounts[position] ?? 0, totals.files);
    const rarity = Math.log(
      1 + (totals.files - inFiles + 0.5) / (inFiles + 0.5),
    );
    score += rarity * count * (BM25_K1 + 1) / (count + norm);
  }
  return score;
}

/** The first line with the most words of the query. */
function bestLine(found: Occurrences[]): number {
  const wordsOn = new Map<number, number>();
  for (const { lines } of found) {
    for (const line of lines) wordsOn.set(line, (wordsOn.get(line) ?? 0) + 1);
  }
  let best = 0;
  let most = 0;
  for (const [line, count] of wordsOn) {
    if (count > most || (count === most && line < best)) {
      best = line;
      most = count;
    }
  }
  return best;
}
