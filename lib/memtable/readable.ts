/**
 * A memtable as reads see it, whoever fills it: point entries in an arena, and
 * range tombstones.
 *
 * @module
 */
import type { Cursor, Found } from "../cursor.ts";
import type { ArenaNodes } from "./arena.ts";
import { ArenaCursor } from "./arena_cursor.ts";
import {
  type Fragment,
  type FragmentChunks,
  RangeTombstones,
} from "./range_tombstones.ts";

/** What a memtable is to those who read it. */
export abstract class ReadableMemtable<Nodes extends ArenaNodes = ArenaNodes> {
  /** The point entries. */
  protected readonly nodes: Nodes;
  /** The range tombstones, as far as they count. */
  protected readonly ranges: RangeTombstones = new RangeTombstones();

  /** A memtable with these entries, and no range tombstones yet. */
  constructor(nodes: Nodes) {
    this.nodes = nodes;
  }

  /** No entry that counts has a higher sequence. */
  abstract readonly newest: number;

  /** More than 0 if there are range tombstones. */
  abstract readonly rangeTombstones: number;

  /** Counts one more reader. */
  abstract retain(): void;

  /** Counts one less. */
  abstract release(): void;

  /** Point entries, every version counted. */
  get entries(): number {
    return this.nodes.entries;
  }

  /** Offers what the memtable knows of a key to a reader at `sequence`. */
  get(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
    found: Found,
  ): void {
    if (this.ranges.size > 0) {
      found.offerTombstone(this.ranges.covering(key, 0, keyLength, sequence));
    }
    this.nodes.get(key, keyLength, sequence, found);
  }

  /** The range tombstones as of now, in one list. Costs their number after each change. */
  fragments(): readonly Fragment[] {
    return this.ranges.list();
  }

  /** The range tombstones as of now. */
  fragmentChunks(): FragmentChunks {
    return this.ranges.chunks();
  }

  /** A cursor over the point entries. */
  cursor(): Cursor {
    const cursor = new ArenaCursor(this.nodes);
    cursor.newest = this.newest;
    return cursor;
  }
}
