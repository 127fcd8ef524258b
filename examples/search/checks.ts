/**
 * Checks an index against itself, and its answers against its text.
 *
 * @module
 */
import {
  CATALOGUE,
  type CatalogueEntry,
  DROPPED,
  type DroppedRecord,
  type GenerationRecord,
  GENERATIONS,
  parseGenerationKey,
  parsePostingKey,
  POSTINGS,
  type Totals,
  TOTALS_KEY,
} from "./schema.ts";
import { decodeRecord, decodeText } from "./search_index.ts";
import type { View } from "./query.ts";
import { eachTerm, matches, parseQuery } from "./tokens.ts";

/** What {@linkcode checkIndex} counted. */
export interface IndexReport {
  /** The paths of files that are indexed, whole. */
  readonly files: Set<string>;
  readonly postings: number;
  readonly lines: number;
  /** Everything that does not fit together; empty if the index is sound. */
  readonly problems: string[];
}

/** The parts of one generation that were found. */
interface Parts {
  record?: GenerationRecord;
  lines: number;
  postings: number;
}

/**
 * Reads the whole index and looks for anything that is half there: a file's
 * record, lines and postings must all be present or all be absent, and the
 * totals must be their sums.
 */
export async function checkIndex(view: View): Promise<IndexReport> {
  const problems: string[] = [];
  const parts = await collectParts(view, problems);
  const files = new Set<string>();
  let words = 0;
  let postings = 0;
  let lines = 0;
  for (const [key, value] of view.scan({ prefix: CATALOGUE })) {
    const path = key.slice(CATALOGUE.length);
    const { generation } = decodeRecord<CatalogueEntry>(value);
    const part = parts.get(generation);
    parts.delete(generation);
    const wrong = wrongWith(path, part);
    if (wrong !== undefined) problems.push(`${path}: ${wrong}`);
    files.add(path);
    words += part?.record?.words ?? 0;
    postings += part?.postings ?? 0;
    lines += part?.lines ?? 0;
  }
  for (const [key, value] of view.scan({ prefix: DROPPED })) {
    const generation = key.slice(DROPPED.length);
    const { terms } = decodeRecord<DroppedRecord>(value);
    const part = parts.get(generation) ?? { lines: 0, postings: 0 };
    parts.delete(generation);
    if (part.record || part.lines > 0 || part.postings !== terms) {
      problems.push(`dropped generation ${generation} is half there`);
    }
  }
  for (const generation of parts.keys()) {
    problems.push(`generation ${generation} belongs to no file`);
  }
  checkTotals(view, files.size, words, problems);
  return { files, postings, lines, problems };
}

async function collectParts(
  view: View,
  problems: string[],
): Promise<Map<string, Parts>> {
  const parts = new Map<string, Parts>();
  const partsOf = (generation: string): Parts => {
    let part = parts.get(generation);
    if (part === undefined) {
      part = { lines: 0, postings: 0 };
      parts.set(generation, part);
    }
    return part;
  };
  for await (const [key, value] of view.scan({ prefix: GENERATIONS })) {
    const [generation, line] = parseGenerationKey(key);
    const part = partsOf(generation);
    if (line < 0) part.record = decodeRecord<GenerationRecord>(value);
    else if (line !== part.lines++) problems.push(`${key} is out of turn`);
  }
  for await (const key of view.scan({ prefix: POSTINGS }).keys()) {
    const [, generation] = parsePostingKey(key);
    partsOf(generation).postings++;
  }
  return parts;
}

function wrongWith(path: string, part?: Parts): string | undefined {
  if (part === undefined) return "nothing of it is there";
  const { record, lines, postings } = part;
  if (record === undefined) return "its record is missing";
  if (record.path !== path) return `its record is of ${record.path}`;
  if (record.lines !== lines) return `${lines} of ${record.lines} lines`;
  if (record.terms !== postings) {
    return `${postings} of ${record.terms} postings`;
  }
  return undefined;
}

function checkTotals(
  view: View,
  files: number,
  words: number,
  problems: string[],
): void {
  const value = view.get(TOTALS_KEY);
  const totals = value && decodeRecord<Totals>(value);
  if (files !== (totals?.files ?? 0) || words !== (totals?.words ?? 0)) {
    problems.push(
      `totals are ${totals?.files} files, ${totals?.words} words; ` +
        `there are ${files} and ${words}`,
    );
  }
}

/** Answers a query the slow way: reads every line of every file. */
export async function searchByReading(
  view: View,
  query: string,
): Promise<{ paths: string[]; lines: number }> {
  const words = parseQuery(query);
  const paths: string[] = [];
  let lines = 0;
  let path: string | undefined;
  let missing = new Set(words);
  for await (const [key, value] of view.scan({ prefix: GENERATIONS })) {
    const [, line] = parseGenerationKey(key);
    if (line < 0) {
      path = decodeRecord<GenerationRecord>(value).path;
      missing = new Set(words);
      continue;
    }
    lines++;
    if (missing.size === 0 || path === undefined) continue;
    eachTerm(decodeText(value), (term) => {
      for (const word of missing) if (matches(term, word)) missing.delete(word);
    });
    if (missing.size === 0) paths.push(path);
  }
  return { paths: words.length === 0 ? [] : paths.sort(), lines };
}
