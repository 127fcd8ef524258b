/**
 * The newest writes, sorted, in memory.
 *
 * Invariants:
 * - Every entry is in a log numbered `firstLog` or higher; those logs live
 *   until the memtable has become a table.
 * - Sequences only rise, for each key; those of a replay come in the order of
 *   keys.
 * - A memtable is filled while it is active; frozen, it never changes.
 *
 * @module
 */
import { copyBytes } from "../encoding/bytes.ts";
import type { EntryKind } from "../cursor.ts";
import { SpareMemory } from "../runtime/spare_memory.ts";
import { ARENA_OVERHEAD, entryRoom, rangeRoom } from "./arena.ts";
import { ReadableMemtable } from "./readable.ts";
import { SkipList } from "./skiplist.ts";

export { entryRoom, rangeRoom };

/** Bytes of an arena with room for `room` bytes of entries: whole words. */
function arenaSize(room: number): number {
  return Math.ceil((room + ARENA_OVERHEAD) / 4) * 4;
}

/** The place of a memtable's arena among those that other threads were given. */
export interface SharedPlace {
  /** The place of the arena. */
  readonly arena: number;
  /** Which memtable the arena holds: raised before it is filled anew. */
  readonly use: number;
}

/** The arenas that no pool keeps. */
const spareArenas = new SpareMemory();

function newArena(bytes: number): SharedArrayBuffer {
  return spareArenas.take(bytes) ?? new SharedArrayBuffer(bytes);
}

/**
 * Arenas of one size, kept for the next memtable: a fresh one costs a page
 * fault for every 4 KiB. What a pool does not keep is left to all pools of the
 * thread (spare_memory.ts).
 *
 * Once {@linkcode ArenaPool.share} was called, the arenas that other threads
 * were given are handed out first, the one that came back last before others:
 * its pages are there. Only when none is free, or none is large enough, a
 * memtable gets one that other threads cannot see.
 */
export class ArenaPool {
  private readonly size: number;
  private readonly spare: SharedArrayBuffer[] = [];
  private readonly most: number;
  private readonly shared = new Map<SharedArrayBuffer, number>();
  /** Where the uses of shared arenas are, from `firstUse` on. */
  private uses: Int32Array = new Int32Array(0);
  private firstUse = 0;
  private lastUse = 0;
  private isEnded = false;

  /** Keeps at most `most` arenas for memtables of `size` bytes. */
  constructor(size: number, most: number) {
    this.size = arenaSize(size);
    this.most = most;
  }

  /** An arena with room for `room` bytes of entries, and the usual size at least. */
  take(room: number): SharedArrayBuffer {
    const size = Math.max(this.size, arenaSize(room));
    const { spare } = this;
    let at = spare.findLastIndex((arena) => arena.byteLength === size);
    if (at < 0) at = spare.findIndex((arena) => arena.byteLength >= size);
    if (at < 0) return newArena(size);
    const [arena] = spare.splice(at, 1);
    this.use(arena);
    return arena;
  }

  /** Tells other threads that the arena holds another memtable from now on. */
  private use(arena: SharedArrayBuffer): void {
    const place = this.shared.get(arena);
    if (place === undefined) return;
    const word = this.firstUse + place;
    Atomics.store(this.uses, word, ++this.lastUse);
    Atomics.load(this.uses, word); // Keeps what is stored in the arena behind the store above.
  }

  /**
   * The set of arenas that other threads are to be given: those of
   * `memtables`, `fresh` new ones, and the spare ones. Nothing changes before
   * {@linkcode ArenaPool.share}.
   */
  makeArenas(
    memtables: readonly Memtable[],
    fresh: number,
  ): SharedArrayBuffer[] {
    const arenas = memtables.map((memtable) => memtable.arena);
    for (let i = 0; i < fresh; i++) arenas.push(newArena(this.size));
    arenas.push(...this.spare);
    return arenas;
  }

  /**
   * Shares a set of arenas, of which the first `taken` hold memtables. Which
   * one each of them holds is told in `uses`, from `firstUse` on.
   */
  share(
    arenas: readonly SharedArrayBuffer[],
    taken: number,
    uses: Int32Array,
    firstUse: number,
  ): void {
    this.spare.splice(0, this.spare.length, ...arenas.slice(taken));
    this.uses = uses;
    this.firstUse = firstUse;
    arenas.forEach((arena, place) => this.shared.set(arena, place));
    for (const arena of arenas) this.use(arena);
  }

  /** Where other threads find the arena; `undefined` if they cannot. */
  placeOf(arena: SharedArrayBuffer): SharedPlace | undefined {
    const place = this.shared.get(arena);
    if (place === undefined) return undefined;
    return { arena: place, use: this.uses[this.firstUse + place] };
  }

  /** Gives an arena back. Nobody may read it any more. */
  give(arena: SharedArrayBuffer): void {
    const isKept = this.shared.size > 0
      ? this.shared.has(arena)
      : arena.byteLength === this.size && this.spare.length < this.most;
    if (isKept && !this.isEnded) this.spare.push(arena);
    else spareArenas.give(arena);
  }

  /**
   * Keeps nothing from now on: leaves what it has, and what comes back yet, to
   * other pools. No other thread may look at any of it any more.
   */
  end(): void {
    this.isEnded = true;
    for (const arena of this.spare.splice(0)) spareArenas.give(arena);
  }
}

/** A memtable. */
export class Memtable extends ReadableMemtable<SkipList> {
  /** The number of the first log that holds any of its entries. It rises only while there are none. */
  firstLog: number;
  private readonly pool: ArenaPool;
  private readers = 1;
  /** The lowest sequence in it; 0 while it is empty. */
  oldest = 0;
  /** The highest sequence in it; 0 while it is empty. */
  override newest = 0;
  /** Point tombstones in it. */
  tombstones = 0;
  /** Range deletes in it. */
  override rangeTombstones = 0;

  /** An empty memtable with room for `room` bytes at least. */
  constructor(firstLog: number, pool: ArenaPool, room: number) {
    super(new SkipList(pool.take(room)));
    this.firstLog = firstLog;
    this.pool = pool;
  }

  /** The memory that its entries lie in, for a SharedMemtable. */
  get arena(): SharedArrayBuffer {
    return this.nodes.arena;
  }

  /** Bytes of arena in use by entries. */
  get bytes(): number {
    return this.nodes.used - ARENA_OVERHEAD;
  }

  /** Bytes of arena left. */
  get room(): number {
    return this.nodes.room;
  }

  /** Whether nothing was written to it. */
  get isEmpty(): boolean {
    return this.newest === 0;
  }

  /**
   * Adds a put or a point tombstone. There must be room for it.
   *
   * @param valueView The memory of `value`, all of it, if that is at hand.
   */
  add(
    sequence: number,
    kind: EntryKind,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    valueView?: DataView,
  ): void {
    this.nodes.add(
      sequence,
      kind,
      key,
      keyLength,
      value,
      valueStart,
      valueEnd,
      valueView,
    );
    this.tombstones += kind;
    this.note(sequence);
  }

  /** Adds a range tombstone, copying its bounds. There must be room for it. `snapshots` are those that are open, ascending; without them every version is kept. */
  addRange(
    sequence: number,
    start: Uint8Array,
    end: Uint8Array,
    snapshots?: readonly number[],
  ): void {
    this.nodes.addRange(sequence, start, end);
    this.rangesChanged();
    this.ranges.add(
      copyBytes(start, 0, start.length),
      copyBytes(end, 0, end.length),
      sequence,
      snapshots,
    );
    this.rangeTombstones++;
    this.note(sequence);
  }

  private note(sequence: number): void {
    if (this.oldest === 0 || sequence < this.oldest) this.oldest = sequence;
    if (sequence > this.newest) this.newest = sequence;
  }

  /** To be called when many entries were added in the order of their keys; see {@linkcode SkipList.rehint}. */
  rehint(): void {
    this.nodes.rehint();
  }

  /** Counts one more reader; the arena is not used again before it is gone. */
  override retain(): void {
    this.readers++;
  }

  /** Counts one reader, or the tree itself, less. */
  override release(): void {
    // mutant memtable-stays-while-read: otherwise a scan reads memory that is used again
    if (--this.readers === 0) this.pool.give(this.nodes.arena);
  }
}
