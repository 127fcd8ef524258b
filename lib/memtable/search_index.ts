/**
 * Where the searches of a skip list begin: the hints of every eighth node or
 * so, side by side.
 *
 * What a search in a large list costs is memory: of the nodes that it looks
 * at, those of the lower levels are in no near cache. A binary search in an
 * array that is, takes the place of most levels; few nodes are left to be
 * looked at.
 *
 * Invariants:
 * - The index has nodes of {@linkcode INDEX_LEVEL} and above, in their order,
 *   with the hints that they have in the arena. Nodes that came since are not
 *   in it: a search that begins before them meets them.
 * - It belongs to the thread that fills the list. Others never see it.
 *
 * @module
 */
import { HEAD } from "./arena.ts";
import { countBelow, headOf } from "./head.ts";

/** No place to begin at; 0 is the end of a list. */
export const NO_NODE = -1;
/** The lowest level that every node of the index has. */
export const INDEX_LEVEL = 4;
/** A list with fewer entries has none. It would not need one before it is out of the caches, but code that is compiled before it meets an index is thrown away then. */
const FIRST_ENTRIES = 64;
/** The index is made anew when there are so many times as many entries. */
const GROWTH = 1.5;

/** The index of one list. */
export class SearchIndex {
  /** Entries of the list with which the index is due to be made. */
  dueAt: number = FIRST_ENTRIES;
  private heads = new Float64Array(0);
  private nodes = new Int32Array(0);
  private count = 0;

  /** Makes the index of the nodes that `words` has now, which are `entries`. */
  make(words: Int32Array, entries: number): void {
    this.dueAt = Math.ceil(entries * GROWTH);
    let count = 0;
    let node = words[HEAD - INDEX_LEVEL];
    while (node !== 0) {
      if (count === this.nodes.length) this.grow();
      this.nodes[count] = node;
      this.heads[count++] = headOf(words[node], words[node + 1]);
      node = words[node - INDEX_LEVEL];
    }
    this.count = count;
  }

  private grow(): void {
    const length = Math.max(FIRST_ENTRIES, this.nodes.length * 2);
    const nodes = new Int32Array(length);
    const heads = new Float64Array(length);
    nodes.set(this.nodes);
    heads.set(this.heads);
    this.nodes = nodes;
    this.heads = heads;
  }

  /** The hints have changed: the index is good for nothing until it is made again. */
  clear(): void {
    this.count = 0;
    this.dueAt = Math.min(this.dueAt, FIRST_ENTRIES);
  }

  /**
   * The last node of the index whose hint is below (high, low); the head if
   * there is none. {@linkcode NO_NODE} if that is the last one of all, or there
   * is none at all: where keys are added in order, most that came since the
   * index was made are behind its last node.
   */
  before(high: number, low: number): number {
    const { count } = this;
    const below = countBelow(this.heads, count, headOf(high, low));
    if (below === count) return NO_NODE;
    return below === 0 ? HEAD : this.nodes[below - 1];
  }
}
