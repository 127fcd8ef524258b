/**
 * What to show of an index that nobody has asked anything of.
 *
 * @module
 */
import type { Store } from "./search_index.ts";
import { decodeRecord, decodeText } from "./search_index.ts";
import { decodePosting } from "./postings.ts";
import { search, type View } from "./query.ts";
import {
  type GenerationRecord,
  GENERATIONS,
  parseGenerationKey,
  parsePostingKey,
  POSTINGS,
  recordKey,
} from "./schema.ts";

/** Queries that suit this repository; and perhaps another. */
const FAVOURITES = ["range tombstone", "crash recover*", "comp*"];
const SUGGESTIONS_MAX = 3;
const WORD_LENGTH_MIN = 6;
const PREFIX_LENGTH = 4;

/** A term that one file has, and that file. */
export interface RareTerm {
  readonly term: string;
  readonly path: string;
  readonly text: string;
}

/** A term, the files that have it and how often they do, in all. */
interface TermUse {
  readonly term: string;
  readonly generations: string[];
  count: number;
}

/** Queries that find something. */
export function suggestQueries(view: View): string[] {
  const queries = FAVOURITES.filter((query) => search(view, query).length > 0);
  if (queries.length >= SUGGESTIONS_MAX) return queries;
  const uses = [...termUses(view)].filter((use) => use.generations.length > 1)
    .sort((a, b) => b.count - a.count).slice(0, SUGGESTIONS_MAX);
  const [first, second, third] = uses.map((use) => use.term);
  if (first) queries.push(first);
  if (first && second) queries.push(`${first} ${second}`);
  if (third) queries.push(third.slice(0, PREFIX_LENGTH) + "*");
  return queries.slice(0, SUGGESTIONS_MAX);
}

/** The word that occurs most often of those that one file only has. */
export function findRareTerm(store: Store): RareTerm | undefined {
  using view = store.snapshot();
  let best: TermUse | undefined;
  for (const use of termUses(view)) {
    if (use.generations.length > 1) continue;
    const [generation = ""] = use.generations;
    if (!view.has(recordKey(generation))) continue; // dropped, not yet swept
    if (best === undefined || use.count > best.count) best = use;
  }
  const [generation] = best?.generations ?? [];
  if (best === undefined || generation === undefined) return undefined;
  const { path, text } = readGeneration(view, generation);
  return { term: best.term, path, text };
}

/** The long plain words of the index, in order. */
function* termUses(view: View): Generator<TermUse> {
  let use: TermUse | undefined;
  for (const [key, value] of view.scan({ prefix: POSTINGS })) {
    const [term, generation] = parsePostingKey(key);
    if (term !== use?.term) {
      if (use && isPlainWord(use.term)) yield use;
      use = { term, generations: [], count: 0 };
    }
    use.generations.push(generation);
    use.count += decodePosting(value).count;
  }
  if (use && isPlainWord(use.term)) yield use;
}

function isPlainWord(term: string): boolean {
  return term.length >= WORD_LENGTH_MIN && /^[a-z]+$/.test(term);
}

/** The text that a generation was made of, but for its kind of line ends. */
function readGeneration(
  view: View,
  generation: string,
): { path: string; text: string } {
  let path = "";
  const lines: string[] = [];
  const prefix = `${GENERATIONS}${generation}/`;
  for (const [key, value] of view.scan({ prefix })) {
    const [, line] = parseGenerationKey(key);
    if (line < 0) path = decodeRecord<GenerationRecord>(value).path;
    else lines.push(decodeText(value));
  }
  return { path, text: lines.join("\n") };
}
