/**
 * A memtable as reads see it, whoever fills it: point entries in an arena, and
 * range tombstones.
 *
 * @module
 */
import type { Cursor, Found } from "../cursor.ts";
import type { ArenaNodes } from "./arena.ts";
import { ArenaCursor } from "./arena_cursor.ts";
import { FragmentSearch } from "./fragment_search.ts";
import {
  type Fragment,
  type FragmentChunks,
  RangeTombstones,
} from "./range_tombstones.ts";

/** After one lookup for so many fragments that did not change meanwhile, more are made ready for. */
const LOOKUPS_SHARE = 16;

/** What a memtable is to those who read it. */
export abstract class ReadableMemtable<Nodes extends ArenaNodes = ArenaNodes> {
  /** The point entries. */
  protected readonly nodes: Nodes;
  /** The range tombstones, as far as they count. */
  protected readonly ranges: RangeTombstones = new RangeTombstones();

  /** Lookups in the range tombstones as they are, once there were some. */
  private search: FragmentSearch | undefined;
  private searches = 0;

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

  /**
   * Offers what the memtable knows of a key to a reader at `sequence`.
   *
   * @param hash The second lane of the key's hash (encoding/hash.ts).
   */
  get(
    key: Uint8Array,
    keyLength: number,
    hash: number,
    sequence: number,
    found: Found,
  ): void {
    if (this.ranges.size > 0) {
      found.offerTombstone(this.covering(key, keyLength, sequence));
    }
    this.nodes.get(key, keyLength, hash, sequence, found);
  }

  /** The newest range delete that covers a key; 0 if none. */
  private covering(
    key: Uint8Array,
    keyLength: number,
    sequence: number,
  ): number {
    const { search, ranges } = this;
    if (search !== undefined) return search.covering(key, keyLength, sequence);
    if (++this.searches * LOOKUPS_SHARE >= ranges.size) {
      this.search = new FragmentSearch(ranges.list());
    }
    return ranges.covering(key, 0, keyLength, sequence);
  }

  /** Notes that the range tombstones have changed. */
  protected rangesChanged(): void {
    this.search = undefined;
    this.searches = 0;
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
