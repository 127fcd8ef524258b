/**
 * The index: files go in as atomic batches, one for each file, and can be
 * replaced, dropped, swept and checked. `schema.ts` tells the keys.
 *
 * @module
 */
import { type Db, json, open, type Operation, utf8 } from "../../mod.ts";
import { addOccurrence, encodePosting, type Posting } from "./postings.ts";
import {
  type CatalogueEntry,
  catalogueKey,
  DROPPED,
  droppedKey,
  type DroppedRecord,
  generationName,
  generationRange,
  type GenerationRecord,
  lineKey,
  parsePostingKey,
  postingKey,
  POSTINGS,
  recordKey,
  type Totals,
  TOTALS_KEY,
} from "./schema.ts";
import { eachTerm } from "./tokens.ts";

/** The store under the index: keys are text, values bytes. */
export type Store = Db<string, Uint8Array>;

type Put = Operation<string, Uint8Array>;

/** Small buffers, so that even a small corpus makes a tree worth looking at. */
const WRITE_BUFFER_BYTES = 512 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Text as a value. */
export const encodeText = (text: string): Uint8Array => encoder.encode(text);
/** A value as text. */
export const decodeText = (value: Uint8Array): string => decoder.decode(value);
/** A record as a value. */
export const encodeRecord = json<unknown>().encode;
/** A value as a record. */
export function decodeRecord<T>(value: Uint8Array): T {
  return json<T>().decode(value);
}

/** What one file added. */
export interface Added {
  readonly postings: number;
  readonly lines: number;
}

/** A full-text index in a directory. */
export class SearchIndex implements AsyncDisposable {
  readonly store: Store;
  #totals: { files: number; words: number; nextGeneration: number };

  private constructor(store: Store) {
    this.store = store;
    const saved = store.get(TOTALS_KEY);
    this.#totals = saved === undefined
      ? { files: 0, words: 0, nextGeneration: 1 }
      : { ...decodeRecord<Totals>(saved) };
  }

  /** Opens the index in a directory, or makes an empty one. */
  static async open(path: string): Promise<SearchIndex> {
    const store = await open(path, {
      keys: utf8,
      writeBufferSize: WRITE_BUFFER_BYTES,
    });
    return new SearchIndex(store);
  }

  /** Sums over all files in the index. */
  get totals(): Totals {
    return this.#totals;
  }

  /** The stamp that a file had when it was indexed. */
  stampOf(path: string): string | undefined {
    return this.#catalogued(path)?.stamp;
  }

  /**
   * Puts a file in, in place of what was known of it, as one atomic batch:
   * for the old generation one range delete, for the new one its puts.
   */
  async add(path: string, text: string, stamp: string): Promise<Added> {
    const batch: Put[] = [];
    this.#drop(path, batch);
    const generation = generationName(this.#totals.nextGeneration++);
    const lines = text.split(/\r?\n/);
    const { postings, words } = readTerms(lines);
    for (const [term, posting] of postings) {
      const key = postingKey(term, generation);
      batch.push({ type: "put", key, value: encodePosting(posting) });
    }
    for (const [number, line] of lines.entries()) {
      const key = lineKey(generation, number);
      batch.push({ type: "put", key, value: encodeText(line) });
    }
    const terms = postings.size;
    putRecord(
      batch,
      recordKey(generation),
      { path, lines: lines.length, words, terms } satisfies GenerationRecord,
    );
    putRecord(
      batch,
      catalogueKey(path),
      { generation, stamp } satisfies CatalogueEntry,
    );
    this.#totals.files++;
    this.#totals.words += words;
    await this.#commit(batch);
    return { postings: terms, lines: lines.length };
  }

  /** Takes a file out. */
  async remove(path: string): Promise<void> {
    const batch: Put[] = [];
    this.#drop(path, batch);
    if (batch.length === 0) return;
    batch.push({ type: "delete", key: catalogueKey(path) });
    await this.#commit(batch);
  }

  /**
   * Removes the postings of dropped generations, in one atomic batch.
   *
   * @returns How many there were.
   */
  async sweep(): Promise<number> {
    const batch: Put[] = [];
    for (const key of this.store.scan({ prefix: DROPPED }).keys()) {
      batch.push({ type: "delete", key });
    }
    const dropped = new Set(
      batch.map((operation) =>
        operation.type === "delete" ? operation.key.slice(DROPPED.length) : ""
      ),
    );
    if (dropped.size === 0) return 0;
    for await (const key of this.store.scan({ prefix: POSTINGS }).keys()) {
      const [, generation] = parsePostingKey(key);
      if (dropped.has(generation)) batch.push({ type: "delete", key });
    }
    await this.store.write(batch);
    return batch.length - dropped.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
  }

  #catalogued(path: string): CatalogueEntry | undefined {
    const value = this.store.get(catalogueKey(path));
    return value && decodeRecord<CatalogueEntry>(value);
  }

  /** Appends what drops the present generation of a file, if it has one. */
  #drop(path: string, batch: Put[]): void {
    const entry = this.#catalogued(path);
    if (entry === undefined) return;
    const { generation } = entry;
    const value = this.store.get(recordKey(generation));
    if (value === undefined) {
      throw new Error(`generation ${generation} of ${path} has no record`);
    }
    const { words, terms } = decodeRecord<GenerationRecord>(value);
    const [start, end] = generationRange(generation);
    batch.push({ type: "deleteRange", start, end });
    const record: DroppedRecord = { terms };
    putRecord(batch, droppedKey(generation), record);
    this.#totals.files--;
    this.#totals.words -= words;
  }

  /** Writes a batch with the totals that hold after it. */
  #commit(batch: Put[]): Promise<void> {
    putRecord(batch, TOTALS_KEY, this.#totals);
    return this.store.write(batch);
  }
}

function putRecord(batch: Put[], key: string, record: unknown): void {
  batch.push({ type: "put", key, value: encodeRecord(record) });
}

/** Every term of a text with its posting, and the number of words. */
function readTerms(
  lines: string[],
): { postings: Map<string, Posting>; words: number } {
  const postings = new Map<string, Posting>();
  let words = 0;
  for (const [number, line] of lines.entries()) {
    eachTerm(line, (term) => {
      words++;
      let posting = postings.get(term);
      if (posting === undefined) {
        posting = { count: 0, lines: [] };
        postings.set(term, posting);
      }
      addOccurrence(posting, number);
    });
  }
  return { postings, words };
}
