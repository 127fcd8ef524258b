/**
 * Blocks whose length and bytes follow from their keys, so that every byte
 * that a cache gives back can be checked, on whatever thread.
 *
 * @module
 */
import type { BlockCache } from "../../../lib/cache/block_cache.ts";
import { TableBlocks } from "../../../lib/cache/layout.ts";

/** The most bytes that {@linkcode lengthOf} says. */
export const LENGTH_MAX = 3000;

function seedOf(table: number, ordinal: number): number {
  return Math.imul(table * 131 + ordinal + 1, 0x9e3779b1) >>> 8;
}

/** The length of a block. */
export function lengthOf(table: number, ordinal: number): number {
  return 1 + seedOf(table, ordinal) % LENGTH_MAX;
}

/** The bytes of a block. */
export function contentOf(
  table: number,
  ordinal: number,
  length: number = lengthOf(table, ordinal),
): Uint8Array {
  const seed = seedOf(table, ordinal);
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = seed + i * 31 + (i >>> 8) * 7;
  return bytes;
}

/** Whether `bytes[start, start + length)` are those of a block. */
export function isContent(
  bytes: Uint8Array,
  start: number,
  length: number,
  table: number,
  ordinal: number,
): boolean {
  const seed = seedOf(table, ordinal);
  for (let i = 0; i < length; i++) {
    const expected = (seed + i * 31 + (i >>> 8) * 7) & 0xff;
    if (bytes[start + i] !== expected) return false;
  }
  return true;
}

/** A source of bytes that calls back in the middle of an insert, when the lock is held and the record is begun. */
export function trap(bytes: Uint8Array, during: () => void): Uint8Array {
  return Object.assign(Object.create(Uint8Array.prototype), {
    subarray(): Uint8Array {
      during();
      return bytes;
    },
  });
}

/** What a lookup of a block came to. */
export type Answer = "absent" | "whole" | "lost" | "torn";

/** A cache as one thread uses it, by the numbers of tables. */
export class CacheUser {
  readonly cache: BlockCache;
  private readonly tables = new Map<number, TableBlocks>();
  private readonly copy = new Uint8Array(1 << 20);

  constructor(cache: BlockCache) {
    this.cache = cache;
  }

  /** What the thread knows of a table. */
  table(number: number): TableBlocks {
    let table = this.tables.get(number);
    if (table === undefined) {
      table = new TableBlocks(number);
      if (number % 2 === 0) table.note(1000); // The others are looked for anew.
      this.tables.set(number, table);
    }
    return table;
  }

  /** Puts the right bytes in. */
  put(table: number, ordinal: number, length?: number): void {
    const bytes = contentOf(table, ordinal, length);
    this.cache.insert(this.table(table), ordinal, bytes, 0, bytes.length);
  }

  /** Looks for a block and checks what it got. `torn` must never be. */
  get(table: number, ordinal: number, length?: number): Answer {
    const { cache } = this;
    if (!cache.find(this.table(table), ordinal, true)) return "absent";
    const { source, start, length: found, segment, generation } = cache;
    this.copy.set(source.subarray(start, start + found));
    if (!cache.isStill(segment, generation)) return "lost";
    const expected = length ?? lengthOf(table, ordinal);
    return found === expected &&
        isContent(this.copy, 0, found, table, ordinal)
      ? "whole"
      : "torn";
  }

  /** A lookup as tables make it; returns whether the block was there. */
  touch(table: number, ordinal: number, length?: number): boolean {
    const answer = this.get(table, ordinal, length);
    if (answer === "torn") throw new Error(`${table}:${ordinal} is torn`);
    if (answer === "whole") return true;
    this.put(table, ordinal, length);
    return false;
  }
}
