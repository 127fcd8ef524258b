/**
 * The owner's side of a database that other threads read.
 *
 * Invariants:
 * - Readers see a prefix of the writes. A memtable whose arena they were not
 *   given (a record larger than the write buffer, or no arena free) and
 *   everything after it is held back until it is in a table; the tree holds
 *   back the acknowledgements.
 * - A reader that gives no sign of life for many checks in a row loses its
 *   lease, and with it its snapshots. Checks are counted, not time: a machine
 *   that sleeps takes nothing from anybody.
 *
 * @module
 */
import type { BlockCache } from "../cache/block_cache.ts";
import type { ArenaPool, Memtable } from "../memtable/memtable.ts";
import {
  ControlBlock,
  type ListedMemtable,
  makeControlMemory,
} from "./control.ts";
import type { ShareHandle } from "./handle.ts";

/** Checks that a silent reader has. */
const CHECKS = 12;
/** Arenas beyond those that memtables need at once: open scans of the owner may hold some. */
const SPARE_ARENAS = 4;

/** What readers are shown. */
export interface Shown {
  /** All memtables, oldest first; the last one is filled. */
  readonly memtables: readonly Memtable[];
  /** The highest sequence given. */
  readonly lastSequence: number;
  /** The manifest, and up to where it is committed. */
  readonly manifest: { readonly number: number; readonly length: number };
}

/** What the publisher is made of. */
export interface PublisherSetup {
  /** The directory of the database. */
  readonly directory: string;
  /** Where memtables get their memory. */
  readonly pool: ArenaPool;
  /** The memtables, oldest first. */
  readonly memtables: readonly Memtable[];
  /** The most that wait for a flush as a rule. */
  readonly maxFrozenMemtables: number;
  /** The block cache. */
  readonly cache: BlockCache;
  /** Bytes of indexes and filters that each reader may keep. */
  readonly tableMemoryBytes: number;
  /** How long a reader may be silent. */
  readonly leaseSeconds: number;
}

/** Shows a database to other threads. */
export class Publisher {
  /** What they are given. */
  readonly handle: ShareHandle;
  /** The highest sequence that readers see. */
  published = 0;
  private readonly control: ControlBlock;
  private readonly pool: ArenaPool;
  private readonly cache: BlockCache;
  /** Nothing newer is published. */
  private limit = Infinity;
  /** The highest sequence before the low word would be used again. */
  private baseEnd = 0;
  private isClosed = false;
  private cellCount = 0;
  /** Whether a lease was taken back: its reader may go on for all we know. */
  private hasStray = false;
  /** By token: the counter at the last check, and since how many checks it stands. */
  private readonly seen = new Map<
    number,
    { counter: number; checks: number }
  >();

  /** Makes the set of arenas. {@linkcode show} must follow. */
  constructor(setup: PublisherSetup) {
    const { directory, pool, memtables, leaseSeconds } = setup;
    const fresh = setup.maxFrozenMemtables + 1 + SPARE_ARENAS;
    const arenas = pool.makeArenas(memtables, fresh);
    const memtablesMax = arenas.length;
    const memory = makeControlMemory(memtablesMax, arenas.length);
    this.control = new ControlBlock(memory, memtablesMax, arenas.length);
    this.pool = pool;
    this.cache = setup.cache;
    const { words, uses } = this.control;
    pool.share(arenas, memtables.length, words, uses);
    this.handle = {
      format: 1,
      directory,
      control: memory,
      arenas,
      memtablesMax,
      cache: setup.cache.memory,
      tableMemoryBytes: setup.tableMemoryBytes,
      leaseSeconds,
    };
  }

  /** Milliseconds between two checks of the leases. */
  get checkMilliseconds(): number {
    return this.handle.leaseSeconds * 1000 / CHECKS;
  }

  /** Shows readers what is there now. */
  show({ memtables, lastSequence, manifest }: Shown): void {
    if (this.isClosed) return;
    const listed: ListedMemtable[] = [];
    this.limit = Infinity;
    for (const [i, memtable] of memtables.entries()) {
      const place = this.pool.placeOf(memtable.arena);
      if (place === undefined || i >= this.handle.memtablesMax) {
        this.limit = memtable.isEmpty ? lastSequence : memtable.oldest - 1;
        break;
      }
      const isActive = i === memtables.length - 1;
      const { oldest, newest } = memtable;
      listed.unshift({ ...place, oldest, newest: isActive ? 0 : newest });
    }
    this.published = Math.min(lastSequence, this.limit);
    this.baseEnd = Math.floor(this.published / BASE_UNIT + 1) * BASE_UNIT;
    this.control.publish({
      manifest: manifest.number,
      manifestLength: manifest.length,
      memtables: listed,
    }, this.published);
  }

  /**
   * Shows what was written up to `sequence`.
   *
   * @returns Whether readers see all of it; `undefined` if {@linkcode show}
   * must be called to make them.
   */
  wrote(sequence: number): boolean | undefined {
    if (sequence > this.limit) return this.isClosed;
    if (sequence >= this.baseEnd) return undefined;
    this.published = sequence;
    this.control.publishSequence(sequence);
    return true;
  }

  /** What readers have snapshots of, in no order: those to come see {@linkcode published} or more. */
  snapshots(): number[] {
    return this.control.readCells();
  }

  /** Moments that readers keep: of snapshots, and of scans that are not of a snapshot. */
  get snapshotCount(): number {
    return this.control.cellCount;
  }

  /**
   * Takes back what silent readers hold. To be called every {@linkcode
   * Publisher.checkMilliseconds}.
   *
   * @returns Whether there are fewer snapshots than at the last call.
   */
  checkLeases(): boolean {
    const { control, seen } = this;
    const leases = control.listLeases();
    const tokens = new Set(leases.map(({ lease }) => lease.token));
    for (const token of seen.keys()) if (!tokens.has(token)) seen.delete(token);
    for (const { lease, counter, holder } of leases) {
      const last = seen.get(lease.token);
      if (last === undefined || last.counter !== counter) {
        seen.set(lease.token, { counter, checks: 0 });
      } else if (++last.checks >= CHECKS) {
        if (!control.endLease(lease)) continue; // It closed itself meanwhile.
        this.cache.abandon(holder);
        this.hasStray = true;
      }
    }
    control.takeBackStrays();
    const { cellCount } = this;
    this.cellCount = control.cellCount;
    return this.cellCount < cellCount;
  }

  /** Turns every reader into a closed one. */
  close(): void {
    this.isClosed = true;
    this.control.close();
  }

  /**
   * Whether it was closed and no reader looks at the shared memory any more,
   * but for the control block. One that comes later claims its lease first,
   * then finds it closed, and looks no further.
   */
  get isDeserted(): boolean {
    return this.isClosed && !this.hasStray &&
      this.control.listLeases().length === 0;
  }
}

/** Sequences that one low word tells apart. */
const BASE_UNIT = 0x1_0000_0000;
