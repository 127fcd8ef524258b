/**
 * Tables in memory: written from plain entries, and what they need to be read.
 *
 * @module
 */
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { OpenFiles } from "../../../lib/cache/open_files.ts";
import { TableMemory } from "../../../lib/cache/table_memory.ts";
import { type EntryKind, Found, PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import type { Fragment } from "../../../lib/memtable/range_tombstones.ts";
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import {
  ReadCounters,
  Table,
  type TableContext,
} from "../../../lib/sstable/table.ts";
import { TableWriter } from "../../../lib/sstable/writer.ts";
import type { Compression } from "../../../lib/types.ts";
import { filled } from "../../engine/support/bytes.ts";
import type { Random } from "../../engine/support/random.ts";
import { type Entry, sorted, toBytes, walk } from "./entries.ts";
import type { Layer } from "./layers.ts";
import { fragmentsOf, rangesOf } from "./ranges.ts";

/** The directory of the tables. */
export const DIRECTORY = "/db";

/** How a table is written here, where not said otherwise. */
export interface Settings {
  readonly blockSize?: number;
  readonly bloomBitsPerKey?: number;
  readonly compression?: Compression;
  readonly baseSequence?: number;
  readonly created?: number;
}

/** A table that lies in memory. */
export interface MadeTable {
  readonly files: MemoryFileSystem;
  readonly path: string;
  readonly meta: TableMeta;
}

/** An empty file system with {@linkcode DIRECTORY}. */
export function newFiles(): MemoryFileSystem {
  const files = new MemoryFileSystem();
  files.makeDirectory(DIRECTORY);
  return files;
}

/** The path of a table. */
export function tablePath(number: number): string {
  return `${DIRECTORY}/${String(number).padStart(6, "0")}.vtab`;
}

/** The lowest sequence of what a table is to hold; 0 of nothing. */
function lowest(
  entries: readonly Entry[],
  fragments: readonly Fragment[],
): number {
  let sequence = Infinity;
  for (const entry of entries) sequence = Math.min(sequence, entry.sequence);
  for (const { sequences } of fragments) {
    sequence = Math.min(sequence, sequences[0]);
  }
  return sequence === Infinity ? 0 : sequence;
}

/** A writer of a table. */
export function newWriter(
  files: MemoryFileSystem,
  number: number,
  settings: Settings = {},
): TableWriter {
  return new TableWriter(files, tablePath(number), number, {
    blockSize: 256,
    bloomBitsPerKey: 10,
    compression: "none",
    baseSequence: 0,
    keysMax: Infinity,
    created: 1234,
    ...settings,
  });
}

/** Gives a writer one entry, its key and value amid other bytes. */
export function addEntry(writer: TableWriter, entry: Entry): void {
  const key = toBytes(`<${entry.key}>`);
  const value = new Uint8Array(entry.value.length + 2);
  value.set(entry.value, 1);
  writer.add(
    key,
    1,
    key.length - 1,
    entry.sequence,
    entry.kind,
    value,
    1,
    value.length - 1,
  );
}

/** Writes a table; `undefined` if nothing was to be written. */
export function writeTable(
  files: MemoryFileSystem,
  number: number,
  entries: readonly Entry[],
  fragments: readonly Fragment[] = [],
  settings: Settings = {},
): TableMeta | undefined {
  const writer = newWriter(files, number, {
    baseSequence: lowest(entries, fragments),
    ...settings,
  });
  for (const entry of sorted(entries)) addEntry(writer, entry);
  const meta = writer.finish(fragments);
  if (meta !== undefined) settleNow(writer);
  return meta;
}

/** Makes a table durable that is too small for anything to be waited for. */
export function settleNow(writer: TableWriter): void {
  for (const _sync of writer.settle()) {
    throw new Error("a table of this size has to be waited for");
  }
}

/** Writes a table that is not empty to files of its own. */
export function makeTable(
  entries: readonly Entry[],
  fragments: readonly Fragment[] = [],
  settings: Settings = {},
  number = 7,
): MadeTable {
  const files = newFiles();
  const meta = writeTable(files, number, entries, fragments, settings);
  if (meta === undefined) throw new Error("the table is empty");
  return { files, path: tablePath(number), meta };
}

/** What tables of these files are read with. */
export function newContext(
  files: MemoryFileSystem,
  cacheBytes = 1 << 20,
  openFilesMax = 16,
  memoryBytes = 1 << 20,
): TableContext {
  return {
    files,
    cache: new BlockCache(cacheBytes),
    memory: new TableMemory(memoryBytes),
    openFiles: new OpenFiles(openFilesMax),
    counters: new ReadCounters(),
  };
}

/** Opens a table. */
export function openTable(
  { files, path, meta }: MadeTable,
  context: TableContext = newContext(files),
): Table {
  return new Table(meta, path, context);
}

/** The layers as tables of one context, numbered from 1; an empty layer is none. */
export function tablesOf(
  layers: readonly Layer[],
  context: TableContext = newContext(newFiles()),
  bloomBitsPerKey = 10,
): Table[] {
  const files = context.files as MemoryFileSystem;
  return layers.flatMap(({ entries, ranges }, i) => {
    const settings = { bloomBitsPerKey };
    const fragments = fragmentsOf(ranges);
    const meta = writeTable(files, i + 1, entries, fragments, settings);
    const path = tablePath(i + 1);
    return meta === undefined
      ? []
      : [openTable({ files, path, meta }, context)];
  });
}

/** What a table holds, as plain data. */
export function layerOf(table: Table): Layer {
  const entries = walk(new TableCursor(table, false));
  return { entries, ranges: rangesOf(table.fragments()) };
}

/** What a lookup found, as plain data. */
export interface Answer {
  readonly sequence: number;
  readonly kind: EntryKind;
  readonly value: Uint8Array | undefined;
}

/** What a lookup found; sequence 0 and a tombstone for nothing. */
export function answerOf(found: Found): Answer {
  const isValue = found.sequence > 0 && found.kind === PUT;
  return {
    sequence: found.sequence,
    kind: found.sequence > 0 ? found.kind : TOMBSTONE,
    value: isValue ? found.value.slice(found.start, found.end) : undefined,
  };
}

/** Looks a key up in one table. */
export function lookUpIn(table: Table, key: string, sequence: number): Answer {
  const found = new Found();
  const bytes = toBytes(`${key}junk`);
  hashKey(bytes, 0, key.length);
  const { line, bits } = keyHash;
  table.get(bytes, key.length, line, bits, sequence, found);
  return answerOf(found);
}

/** Random entries, sorted: `count` keys with up to `versions` versions each. */
export function randomEntries(
  random: Random,
  count: number,
  key: (random: Random) => string,
  versions = 3,
  valueLength: (random: Random) => number = (r) => r.below(60),
): Entry[] {
  const entries = new Map<string, Entry>();
  for (let i = 0; i < count; i++) {
    const name = key(random);
    const first = 1 + random.below(2000);
    for (let v = 0; v < 1 + random.below(versions); v++) {
      const sequence = first + v * (1 + random.below(3));
      const kind = random.chance(80) ? PUT : TOMBSTONE;
      const value = filled(kind === PUT ? valueLength(random) : 0, i + v);
      entries.set(`${name} ${sequence}`, { key: name, sequence, kind, value });
    }
  }
  return sorted([...entries.values()]);
}
