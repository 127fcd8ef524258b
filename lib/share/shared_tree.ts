/**
 * A database as a thread reads it that does not own it.
 *
 * Invariants:
 * - A read counts only if the state did not change meanwhile; otherwise it is
 *   done again on the new one. So a reader holds up nobody, and one that dies
 *   in the middle leaves nothing behind but its lease.
 * - Moments are kept readable by cells of the control block. Whatever a pinned
 *   moment needs is in every later state, so no file and no memtable is kept
 *   for it. After the lease has expired nothing is read at such a moment.
 * - What a read throws counts only under the same condition: files vanish and
 *   arenas are filled anew while they are read.
 *
 * @module
 */
import { BlockCache } from "../cache/block_cache.ts";
import { OpenFiles } from "../cache/open_files.ts";
import { TableMemory } from "../cache/table_memory.ts";
import { Found } from "../cursor.ts";
import { VarveError } from "../errors.ts";
import { SharedMemtable } from "../memtable/shared_memtable.ts";
import type { Pin, ReadSource, Rows } from "../read/source.ts";
import type { Target } from "../read/target.ts";
import { findInto, findValue, hasValue, type View } from "../read/view.ts";
import type { Bounds } from "../read/visible.ts";
import { READS_MAY_BE_LATE } from "../runtime/memory_order.ts";
import { Results } from "../runtime/results.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { ReadCounters, type TableContext } from "../sstable/table.ts";
import {
  CLOSED_VERSION,
  ControlBlock,
  fence,
  type Lease,
  type ListedMemtable,
  type PublishedState,
  VERSION,
} from "./control.ts";
import { refuseHandle, type ShareHandle } from "./handle.ts";
import { SharedRows } from "./rows.ts";
import { SharedTables } from "./tables.ts";

/** Table files that one reader keeps open at once. */
const OPEN_FILES_MAX = 64;
/** No version of a state. */
const NO_VERSION = -2;
/** A reader gives signs of life this often in the time that it may be silent, and once a second at least. */
const SIGNS_PER_LEASE = 10;

/** A cell of the control block that keeps a moment readable. */
interface Cell {
  /** Its word. */
  readonly word: number;
  /** The lease that it was claimed with. */
  readonly lease: Lease;
  /** How many pins need it. */
  pins: number;
}

/** A moment that is kept readable. */
export interface CellPin extends Pin {
  /** What keeps it so; scans of a snapshot share that of the snapshot. */
  readonly cell: Cell;
}

/** Looks a key up in a view. */
type Look<T, U> = (
  view: View,
  key: Uint8Array,
  keyLength: number,
  sequence: number,
  found: Found,
  using: U,
) => T;

/** What another thread's database looks like from here. */
export class SharedTree implements ReadSource {
  readonly runtime: Runtime;
  /** Makes results. */
  readonly results: Results;
  private readonly handle: ShareHandle;
  private readonly control: ControlBlock;
  private readonly words: Int32Array;
  private readonly tables: SharedTables;
  private readonly found = new Found();
  /** What this thread is called in the block cache. */
  private readonly cacheHolder: number;
  private lease: Lease;
  private counter = 0;
  /** The version of the state that `view` shows. */
  private version = NO_VERSION;
  private view: View | undefined;
  private memtables: SharedMemtable[] = [];
  private byUse = new Map<number, SharedMemtable>();
  private sequenceBase = 0;
  private readonly pins = new Set<Pin>();
  private readonly scans = new Set<SharedRows>();
  private readonly stopTimer: () => void;
  /** What was closed, if anything was. */
  private closed: string | undefined;

  /** Reads what `handle` leads to. */
  constructor(runtime: Runtime, handle: ShareHandle) {
    const { control, memtablesMax, arenas } = handle;
    this.runtime = runtime;
    this.results = new Results(runtime.slabResults);
    this.handle = handle;
    this.control = new ControlBlock(control, memtablesMax, arenas.length);
    this.words = this.control.words;
    if (!this.control.isOne) refuseHandle();
    const cache = new BlockCache(handle.cache ?? 0);
    const context: TableContext = {
      files: runtime.files,
      cache,
      memory: new TableMemory(handle.tableMemoryBytes),
      openFiles: new OpenFiles(OPEN_FILES_MAX),
      counters: new ReadCounters(),
    };
    this.tables = new SharedTables(handle.directory, context);
    this.cacheHolder = cache.holder;
    this.lease = this.control.claimLease(this.cacheHolder);
    const period = Math.min(1, handle.leaseSeconds / SIGNS_PER_LEASE);
    this.stopTimer = runtime.every(period * 1000, () => this.onTimer());
  }

  checkOpen(): void {
    if (this.closed !== undefined) {
      throw new VarveError("CLOSED", `the ${this.closed} is closed`);
    }
    if (Atomics.load(this.words, VERSION) === CLOSED_VERSION) {
      this.ownerClosed();
    }
  }

  private ownerClosed(): never {
    this.close("database");
    throw new VarveError("CLOSED", "the database is closed");
  }

  // The state.

  /** The state that a read begins with: its version, for {@linkcode isCurrent}. The view is that of this version. */
  enter(): number {
    const version = Atomics.load(this.words, VERSION);
    return version === this.version ? version : this.refresh();
  }

  /** Whether nothing that was read since {@linkcode enter} returned `version` can be wrong. Also a sign of life. */
  isCurrent(version: number): boolean {
    this.counter = (this.counter + 1) | 0;
    const { sign } = this.lease;
    if (READS_MAY_BE_LATE) fence(this.words, sign, this.counter);
    else this.words[sign] = this.counter;
    return Atomics.load(this.words, VERSION) === version;
  }

  private refresh(): number {
    for (;;) {
      this.checkOpen(); // A codec may have closed the reader in the middle.
      const version = this.settledVersion();
      this.keepLease();
      const state = this.control.readState();
      const published = state.sequenceBase + this.control.sequenceLow();
      // Of halves of two states nothing may be made: it would be kept.
      if (!this.isCurrent(version)) continue;
      try {
        this.show(state, published);
      } catch (error) {
        if (this.isCurrent(version)) throw error;
        continue;
      }
      if (!this.isCurrent(version)) continue;
      for (const scan of this.scans) scan.letGo();
      this.version = version;
      return version;
    }
  }

  /** See {@linkcode ControlBlock.settledVersion}. An owner that is gone is waited for once. */
  private settledVersion(): number {
    try {
      const version = this.control.settledVersion();
      return version === CLOSED_VERSION ? this.ownerClosed() : version;
    } catch (error) {
      this.close("database");
      throw error;
    }
  }

  /** Makes the view show a state, which may be changing meanwhile. */
  private show(state: PublishedState, published: number): void {
    this.version = NO_VERSION;
    this.sequenceBase = state.sequenceBase;
    const byUse = new Map<number, SharedMemtable>();
    this.memtables = state.memtables.map((listed) => {
      const memtable = this.memtableOf(listed, published);
      byUse.set(listed.use, memtable);
      return memtable;
    });
    this.byUse = byUse;
    const version = this.tables.follow(state.manifest, state.manifestLength);
    this.view = { memtables: this.memtables, version };
  }

  private memtableOf(
    listed: ListedMemtable,
    published: number,
  ): SharedMemtable {
    const { arena, use, oldest } = listed;
    const newest = listed.newest === 0 ? published : listed.newest;
    const known = this.byUse.get(use);
    if (known === undefined) {
      const { words, uses } = this.control;
      const at = { words, index: uses + arena, use };
      return new SharedMemtable(this.handle.arenas[arena], newest, oldest, at);
    }
    this.followMemtable(known, newest);
    return known;
  }

  /** The sequence that the owner published last. */
  private published(): number {
    return this.sequenceBase + this.control.sequenceLow();
  }

  /** The sequence that a read of now reads at; the memtables are followed up to there. */
  private now(): number {
    const sequence = this.published();
    const active = this.memtables[0];
    if (active !== undefined && active.hasMoreRanges) {
      this.followMemtable(active, sequence);
    }
    return sequence;
  }

  private followMemtable(memtable: SharedMemtable, newest: number): void {
    const readers = [...this.pins].map((pin) => pin.sequence);
    readers.push(newest);
    memtable.follow(newest, readers.sort((a, b) => a - b));
  }

  // Reads.

  value(
    key: Uint8Array,
    keyLength: number,
    pin: CellPin | undefined,
  ): Uint8Array | undefined {
    return this.look(findValue, key, keyLength, pin, this.results);
  }

  valueInto(
    key: Uint8Array,
    keyLength: number,
    pin: CellPin | undefined,
    target: Target,
  ): number {
    return this.look(findInto, key, keyLength, pin, target);
  }

  has(key: Uint8Array, keyLength: number, pin: CellPin | undefined): boolean {
    return this.look(hasValue, key, keyLength, pin, undefined);
  }

  /** Looks a key up until the state stood still meanwhile. */
  private look<T, U>(
    find: Look<T, U>,
    key: Uint8Array,
    keyLength: number,
    pin: CellPin | undefined,
    using: U,
  ): T {
    for (;;) {
      const version = this.enter();
      let answer: T;
      try {
        const sequence = this.sequenceOf(pin);
        answer = find(
          this.shown(),
          key,
          keyLength,
          sequence,
          this.found,
          using,
        );
      } catch (error) {
        if (this.isCurrent(version)) throw error;
        continue;
      }
      if (!this.isCurrent(version)) continue;
      if (pin !== undefined) this.checkPin(pin);
      return answer;
    }
  }

  private sequenceOf(pin: CellPin | undefined): number {
    return pin === undefined ? this.now() : pin.sequence;
  }

  /** The view that {@linkcode enter} made current. */
  shown(): View {
    if (this.view === undefined) throw new Error("no state was read yet");
    return this.view;
  }

  rows(bounds: Bounds, reverse: boolean, pin: CellPin | undefined): Rows {
    const own = pin === undefined ? this.pin() : this.pinAgain(pin);
    const rows = new SharedRows(this, bounds, reverse, own, () => {
      this.scans.delete(rows);
      this.unpin(own);
    });
    this.scans.add(rows);
    return rows;
  }

  /** Whether the memtables of a view that is no longer current can still be read. */
  isIntact(view: View): boolean {
    // Only this class makes views here, of shared memtables.
    const memtables = view.memtables as readonly SharedMemtable[];
    return memtables.every((memtable) => memtable.isIntact());
  }

  // Moments.

  pin(): CellPin {
    for (;;) {
      this.enter();
      const { lease, control } = this;
      if (!control.isLeased(lease)) {
        this.renewLease();
        continue;
      }
      const { word, sequence } = control.claimCell(
        lease.token,
        () => this.latest(),
      );
      const pin = { sequence, cell: { word, lease, pins: 1 } };
      this.pins.add(pin);
      try {
        this.followUpTo(sequence);
        // A lease that ended meanwhile may have left the cell behind.
        if (control.isLeased(lease)) return pin;
      } catch (error) {
        this.unpin(pin);
        throw error;
      }
      this.unpin(pin);
    }
  }

  /** The sequence published last, whatever is being changed. */
  private latest(): number {
    for (;;) {
      const version = this.enter();
      const sequence = this.published();
      if (this.isCurrent(version)) return sequence;
    }
  }

  /** Takes range tombstones in up to a sequence. */
  private followUpTo(sequence: number): void {
    for (;;) {
      const version = this.enter();
      try {
        const active = this.memtables[0];
        if (active !== undefined) this.followMemtable(active, sequence);
      } catch (error) {
        if (this.isCurrent(version)) throw error;
        continue;
      }
      if (this.isCurrent(version)) return;
    }
  }

  /**
   * One more pin of the moment of another, in the same cell: the owner may be
   * reading the cells, so that it would miss a moment that went from one that
   * it has not read yet to one that it has.
   */
  private pinAgain({ sequence, cell }: CellPin): CellPin {
    if (cell.pins === 0) {
      throw new VarveError("CLOSED", "the snapshot is closed");
    }
    const again = { sequence, cell };
    this.checkPin(again);
    cell.pins++;
    this.pins.add(again);
    return again;
  }

  /** Throws `CLOSED` if a moment is no longer kept. */
  checkPin({ cell }: CellPin): void {
    if (this.control.isLeased(cell.lease)) return;
    throw new VarveError(
      "CLOSED",
      `the snapshot or scan has expired: its thread gave no sign of life for ${this.handle.leaseSeconds} seconds`,
    );
  }

  unpin(pin: CellPin): void {
    if (!this.pins.delete(pin)) return;
    const { cell } = pin;
    if (--cell.pins === 0) this.control.freeCell(cell.word, cell.lease.token);
  }

  // The lease.

  private renewLease(): void {
    this.lease = this.control.claimLease(this.cacheHolder);
  }

  /**
   * Takes a new lease if it can, where the last one has expired: its signs of
   * life would keep the lease of another.
   */
  private keepLease(): void {
    if (this.control.isLeased(this.lease)) return;
    try {
      this.renewLease();
    } catch {
      // Only snapshots and scans need one; they will tell.
    }
  }

  private onTimer(): void {
    try {
      this.keepLease();
      // Lets go of files that are gone, though nobody may read for long.
      this.isCurrent(this.enter());
    } catch {
      // The next read will tell.
    }
  }

  /** Lets go of everything. Twice is harmless. */
  close(what = "reader"): void {
    if (this.closed !== undefined) return;
    this.closed = what;
    this.stopTimer();
    for (const scan of this.scans) scan.letGo();
    this.pins.clear();
    this.tables.close();
    this.memtables = [];
    this.byUse.clear();
    this.view = undefined;
    this.version = NO_VERSION;
    // Last: the owner may use the memory for something else from now on.
    this.control.endLease(this.lease);
  }
}
