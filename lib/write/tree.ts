/**
 * The tree, as its one owner holds it: log, memtables, tables.
 *
 * Invariants:
 * - Every write is in the log before it is acknowledged, and in the log's
 *   group before it is visible.
 * - Sequences are given here only, one by one; those of failed writes are
 *   burned.
 * - Only the newest log is not sealed: the next one is used after its
 *   predecessor was synced and the manifest says where it ends.
 * - A log changes with the memtable, but never while a sync of it is under
 *   way, whose failure a second sync might hide; then it changes after that
 *   sync, and until then serves the next memtable too.
 * - Frozen memtables are in the order in which they were filled. A flush
 *   commits, with its table, up to which sequence all is in tables: a log may
 *   hold some of it on, and lose the end that undid it.
 *
 * @module
 */
import type { BlockCache } from "../cache/block_cache.ts";
import { type MaintainedTree, Maintenance } from "../compaction/maintenance.ts";
import { type EntryKind, TOMBSTONE } from "../cursor.ts";
import { copyInto, viewOf } from "../encoding/bytes.ts";
import { Decoder } from "../encoding/varint.ts";
import { invalid, type VarveError } from "../errors.ts";
import {
  type ArenaPool,
  entryRoom,
  Memtable,
  rangeRoom,
} from "../memtable/memtable.ts";
import type { ResolvedOptions } from "../options.ts";
import type { View } from "../read/view.ts";
import type { ShareHandle } from "../share/handle.ts";
import { Publisher } from "../share/publisher.ts";
import { Results } from "../runtime/results.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { TableMeta } from "../sstable/meta.ts";
import type { TableContext } from "../sstable/table.ts";
import type { Durability, TreeEvent } from "../types.ts";
import type { Edit } from "../version/edit.ts";
import type { VersionSet } from "../version/version_set.ts";
import { LOG_DELETE_RANGE } from "../wal/format.ts";
import { LogWriter } from "../wal/writer.ts";
import { Backpressure, type PressureSource } from "./backpressure.ts";
import type { EncodedBatch } from "./batch.ts";
import { CommitQueue } from "./commit_queue.ts";
import { asVarveError, Health } from "./health.ts";

/** What recovery hands to the tree. */
export interface RecoveredTree {
  /** The runtime. */
  readonly runtime: Runtime;
  /** The options. */
  readonly options: ResolvedOptions;
  /** The tables and their manifest, which names `log`. */
  readonly versions: VersionSet;
  /** A new log. */
  readonly log: LogWriter;
  /** Where memtables get their memory. */
  readonly pool: ArenaPool;
  /** What was replayed: memtables oldest first, the last of them to be filled on. */
  readonly memtables: readonly Memtable[];
  /** The highest sequence anywhere. */
  readonly lastSequence: number;
  /** Bytes of log that were lost at the end. */
  readonly lostTailBytes: number;
}

/**
 * Bytes of a log that may not become longer, where it waits to be changed: an
 * open reads it as a whole, and not every runtime has more than 4 GiB for that.
 * It is looked at where a write needs more memory, which is after a memtable
 * (1 GiB, or one write) again.
 */
const LOG_BYTES_MAX = 2.5 * 1024 * 1024 * 1024;
/** Bytes that the last sync of a log, which blocks, may have to do; */
const LAST_SYNC_BYTES_MAX = 256 * 1024;
/** as long as this many syncs that do not block bring it there. */
const SYNCS_BEFORE_CHANGE_MAX = 4;
/** At closing, a memtable of this many bytes becomes a table: replaying its log would cost the next open more. */
const FLUSH_AT_CLOSE_BYTES = 256 * 1024;
/** Milliseconds that closing waits for a flush. */
const FLUSH_AT_CLOSE_MILLISECONDS = 5000;
/** At closing, as many logs as this are worth a table. */
const FLUSH_AT_CLOSE_LOGS = 8;

/** The tree of one open database. */
export class Tree implements MaintainedTree, PressureSource {
  readonly runtime: Runtime;
  readonly options: ResolvedOptions;
  readonly versions: VersionSet;
  /** Makes results. */
  readonly results: Results;
  /** Whether the tree may be written. */
  readonly health: Health = new Health();
  /** Acknowledgements. */
  readonly commits: CommitQueue;
  /** Flushes and compactions. */
  readonly maintenance: Maintenance;
  /** Bytes of log that recovery lost. */
  readonly lostTailBytes: number;
  /** The highest sequence given. */
  lastSequence: number;
  /** Bytes of keys and values written. */
  userBytes = 0;
  /** Bytes of logs that are finished. */
  finishedLogBytes = 0;
  /** Bytes of the frozen memtables. */
  frozenBytes = 0;
  /** What slows writes down. */
  readonly backpressure: Backpressure;
  /** What {@linkcode Tree.tell} tells. */
  readonly events: EventTarget = new EventTarget();
  private readonly pool: ArenaPool;
  private readonly waiting: Memtable[];
  private active: Memtable;
  private isLogChangeDue = false;
  private syncsBeforeChange = 0;
  private log: LogWriter;
  private readonly snapshots = new Map<number, number>();
  private cachedView: View | undefined;
  private sharing: Publisher | undefined;
  private stopLeaseChecks: (() => void) | undefined;
  private readonly keyScratch = new Uint8Array(256);
  /** Whether the tree was closed. */
  isClosed = false;

  /** The tree that recovery found. */
  constructor(recovered: RecoveredTree) {
    this.runtime = recovered.runtime;
    this.options = recovered.options;
    this.versions = recovered.versions;
    this.results = new Results(recovered.runtime.slabResults);
    this.log = recovered.log;
    this.commits = new CommitQueue(
      this.health,
      recovered.log,
      recovered.runtime,
      () => this.changeLogSoon(),
    );
    this.pool = recovered.pool;
    this.lastSequence = recovered.lastSequence;
    this.lostTailBytes = recovered.lostTailBytes;
    const memtables = [...recovered.memtables];
    const last = memtables.pop();
    this.active = last ?? this.newMemtable(0);
    this.waiting = memtables;
    for (const { bytes } of memtables) this.frozenBytes += bytes;
    this.maintenance = new Maintenance(this);
    this.backpressure = new Backpressure(this);
    this.backpressure.update();
  }

  private newMemtable(room: number): Memtable {
    return new Memtable(this.log.number, this.pool, room);
  }

  // Reads.

  /** What a reader reads from now. Good until the next freeze, flush or compaction, unless it is retained. */
  view(): View {
    return this.cachedView ??= {
      memtables: [this.active, ...this.waiting.slice().reverse()],
      version: this.versions.current,
    };
  }

  // Snapshots.

  /** Makes jobs keep what a reader at the last sequence sees; returns that sequence. */
  takeSnapshot(): number {
    const sequence = this.lastSequence;
    this.snapshots.set(sequence, (this.snapshots.get(sequence) ?? 0) + 1);
    return sequence;
  }

  /** Gives a snapshot back. */
  dropSnapshot(sequence: number): void {
    const left = (this.snapshots.get(sequence) ?? 1) - 1;
    if (left > 0) this.snapshots.set(sequence, left);
    else this.snapshots.delete(sequence);
    this.maintenance.snapshotClosed();
  }

  /** How many snapshots are open. */
  get snapshotCount(): number {
    let count = 0;
    for (const users of this.snapshots.values()) count += users;
    return count + (this.sharing?.snapshotCount ?? 0);
  }

  snapshotSequences(): number[] {
    return this.readersBefore(this.lastSequence);
  }

  /** What somebody may still read at that is older than `sequence`, or has a snapshot of, ascending. */
  private readersBefore(sequence: number): number[] {
    if (this.snapshots.size === 0 && this.sharing === undefined) return [];
    const sequences = new Set(this.snapshots.keys());
    if (this.sharing !== undefined) {
      // mutant readers-keep-their-snapshots: otherwise what snapshots of reader threads see is dropped
      for (const own of this.sharing.snapshots()) sequences.add(own);
      const { published } = this.sharing;
      // mutant readers-keep-their-sequence: otherwise what reader threads see is dropped
      if (published < sequence) sequences.add(published);
    }
    return [...sequences].sort((a, b) => a - b);
  }

  // Reader threads.

  /** Makes the database readable by other threads; see share/. */
  share(leaseSeconds: number, context: TableContext): ShareHandle {
    if (this.sharing === undefined) {
      this.sharing = new Publisher({
        directory: this.versions.directory,
        pool: this.pool,
        memtables: [...this.waiting, this.active],
        maxFrozenMemtables: this.options.maxFrozenMemtables,
        cache: context.cache,
        tableMemoryBytes: context.memory.bytesMax,
        leaseSeconds,
      });
      this.versions.onCommit = () => this.showReaders();
      this.showReaders();
      this.stopLeaseChecks = this.runtime.every(
        this.sharing.checkMilliseconds,
        () => this.checkLeases(),
      );
    }
    return this.sharing.handle;
  }

  /** Shows reader threads what changed. To be called before what it makes superfluous goes. */
  private showReaders(): void {
    this.sharing?.show({
      memtables: [...this.waiting, this.active],
      lastSequence: this.lastSequence,
      manifest: this.versions.manifestPlace,
    });
  }

  private checkLeases(): void {
    if (this.sharing?.checkLeases()) this.maintenance.snapshotClosed();
  }

  /** Shows reader threads the last write; returns whether it must be held back. */
  private isHeldBack(sharing: Publisher): boolean {
    const shown = sharing.wrote(this.lastSequence);
    if (shown === undefined) this.showReaders();
    return shown === false;
  }

  /** Delays an acknowledgement until reader threads see the write: until its memtable, which they cannot see, is a table. */
  private async whenShown(
    acknowledged: Promise<void>,
    sharing: Publisher,
    sequence: number,
  ): Promise<void> {
    await acknowledged;
    while (sharing.published < sequence && !this.isClosed) {
      const isHidden = this.pool.placeOf(this.active.arena) === undefined;
      if (isHidden && !this.active.isEmpty && !this.backpressure.isFull) {
        const failure = this.freeze(0);
        if (failure !== undefined) throw failure;
      }
      try {
        await this.maintenance.frozenAtMost(0);
      } catch (error) {
        if (!this.isClosed) throw error; // Else nobody reads any more.
      }
    }
  }

  // Writes.

  /** Writes a put (kind 0) or a point tombstone (kind 1). */
  writeEntry(
    kind: 0 | 1,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueLength: number,
    durability: Durability,
  ): Promise<void> {
    const refusal = this.prepare(entryRoom(keyLength, valueLength));
    if (refusal !== undefined) return Promise.reject(refusal);
    try {
      this.addEntry(kind, key, keyLength, value, valueLength);
    } catch (error) {
      return this.halfWritten(this.health.failure ??= error);
    }
    return this.acknowledge(durability, keyLength + valueLength);
  }

  /** Writes the tombstone of the range [start, end); an empty end means no end. */
  writeRange(
    start: Uint8Array,
    end: Uint8Array,
    durability: Durability,
  ): Promise<void> {
    const room = rangeRoom(start.length, end.length);
    const refusal = this.prepare(room);
    if (refusal !== undefined) return Promise.reject(refusal);
    const sequence = this.lastSequence + 1;
    try {
      this.log.appendRange(sequence, start, end);
      this.addRange(sequence, start, end);
    } catch (error) {
      return this.halfWritten(this.health.failure ??= error);
    }
    return this.acknowledge(durability, room);
  }

  /** Writes operations, all or none. */
  writeBatch(batch: EncodedBatch, durability: Durability): Promise<void> {
    const { bytes, length, count, room } = batch;
    const refusal = this.prepare(room);
    if (refusal !== undefined) return Promise.reject(refusal);
    try {
      this.log.appendEncoded(this.lastSequence + 1, count, bytes, 0, length);
      this.addAll(bytes, length);
    } catch (error) {
      return this.halfWritten(this.health.failure ??= error);
    }
    return this.acknowledge(durability, room);
  }

  /**
   * A write that ended in the middle: the log may have it and the memtable
   * not, or half of it. A log that went on with the same sequences could not
   * be read again, so nothing may follow. Whoever calls has latched, without a
   * call: it is mostly the stack that is full.
   */
  private halfWritten(error: unknown): Promise<never> {
    return Promise.reject(this.commits.fail(error));
  }

  private addEntry(
    kind: 0 | 1,
    key: Uint8Array,
    keyLength: number,
    value: Uint8Array,
    valueLength: number,
  ): void {
    const sequence = this.lastSequence + 1;
    this.log.append(sequence, kind, key, keyLength, value, valueLength);
    this.active.add(sequence, kind, key, keyLength, value, 0, valueLength);
    this.lastSequence = sequence;
    this.userBytes += keyLength + valueLength;
  }

  private addRange(
    sequence: number,
    start: Uint8Array,
    end: Uint8Array,
  ): void {
    this.active.addRange(sequence, start, end, this.readersBefore(sequence));
    this.lastSequence = sequence;
    this.userBytes += start.length + end.length;
  }

  /** Adds operations, as the log has them, to the memtable. */
  private addAll(bytes: Uint8Array, length: number): void {
    const operations = new Decoder(bytes, 0, length);
    const view = viewOf(bytes);
    while (operations.position < length) {
      const kind = operations.byte();
      const keyStart = operations.skipSized();
      const keyEnd = operations.position;
      const valueStart = kind === TOMBSTONE ? keyEnd : operations.skipSized();
      const valueEnd = operations.position;
      const sequence = this.lastSequence + 1;
      if (kind === LOG_DELETE_RANGE) {
        const start = bytes.subarray(keyStart, keyEnd);
        this.addRange(sequence, start, bytes.subarray(valueStart, valueEnd));
        continue;
      }
      this.active.add(
        sequence,
        kind as EntryKind,
        this.keyAt(bytes, keyStart, keyEnd),
        keyEnd - keyStart,
        bytes,
        valueStart,
        valueEnd,
        view,
      );
      this.lastSequence = sequence;
      this.userBytes += keyEnd - keyStart + valueEnd - valueStart;
    }
  }

  /** `bytes[start, end)` from the start of what is returned; good until the next call. */
  private keyAt(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const { keyScratch } = this;
    if (end - start > keyScratch.length) return bytes.subarray(start, end);
    copyInto(keyScratch, 0, bytes, start, end);
    return keyScratch;
  }

  /** Makes room in the active memtable; returns why nothing may be written, if so. */
  private prepare(room: number): VarveError | undefined {
    const refusal = this.health.refusal();
    // mutant latch-of-writes: otherwise a write is accepted that nobody will log
    if (refusal !== undefined) return refusal;
    return room <= this.active.room && this.log.hasRoom(room)
      ? undefined
      : this.makeRoom(room);
  }

  private makeRoom(room: number): VarveError | undefined {
    if (room > ROOM_MAX) {
      return invalid(
        `one write takes ${room} bytes; at most ${ROOM_MAX} are accepted`,
      );
    }
    const isLong = this.log.bytes + room > LOG_BYTES_MAX;
    if (isLong && this.isLogChangeDue) return this.longLog();
    try {
      this.log.reserve(room);
      if (room <= this.active.room) return undefined;
      if (this.active.isEmpty) {
        this.replaceActive(room);
        return undefined;
      }
      const failure = this.freeze(room);
      this.log.reserve(room); // The log may be another one now.
      return failure;
    } catch (error) {
      // No memory for it. No log was touched: nothing is lost, and the next
      // write tries again.
      return asVarveError(error);
    }
  }

  /** The refusal of a write for which the log is too long: it could not change yet, for a sync that is under way. */
  private longLog(): VarveError {
    this.changeLogSoon();
    return this.backpressure.busy(`the log has ${this.log.bytes} bytes`);
  }

  private acknowledge(durability: Durability, bytes: number): Promise<void> {
    const { sharing } = this;
    if (sharing === undefined) return this.acknowledgeHere(durability, bytes);
    const isHeldBack = this.isHeldBack(sharing);
    const acknowledged = this.acknowledgeHere(durability, bytes);
    return isHeldBack
      ? this.whenShown(acknowledged, sharing, this.lastSequence)
      : acknowledged;
  }

  private acknowledgeHere(
    durability: Durability,
    bytes: number,
  ): Promise<void> {
    const acknowledged = this.commits.acknowledge(durability);
    const { backpressure } = this;
    return backpressure.isOn
      ? backpressure.delay(acknowledged, bytes)
      : acknowledged;
  }

  /** Tells the program what happened, in a microtask: what it then does must not come in the middle of something. */
  tell(event: TreeEvent): void {
    queueMicrotask(() => {
      const { type } = event;
      this.events.dispatchEvent(new CustomEvent(type, { detail: event }));
    });
  }

  // Memtables.

  get frozen(): readonly Memtable[] {
    return this.waiting;
  }

  /** The active memtable. */
  get activeMemtable(): Memtable {
    return this.active;
  }

  memtablesOldest(): number {
    let oldest = Infinity;
    for (const memtable of [this.active, ...this.waiting]) {
      if (memtable.oldest > 0) oldest = Math.min(oldest, memtable.oldest);
    }
    return oldest;
  }

  /** Puts a larger memtable in the place of an empty one. */
  private replaceActive(room: number): void {
    const empty = this.active;
    this.active = new Memtable(empty.firstLog, this.pool, room);
    this.cachedView = undefined;
    this.showReaders();
    empty.release();
  }

  /**
   * Freezes the active memtable and starts a new one, with its own log if
   * that is possible now.
   *
   * @returns Why nothing may be written, if too much waits for its flush or
   * the log could not be changed.
   * @throws if nothing was done, for want of memory.
   */
  private freeze(room: number): VarveError | undefined {
    const refusal = this.backpressure.refusal();
    if (refusal !== undefined) return refusal;
    const fresh = this.newMemtable(room);
    const { active } = this;
    const { bytes } = active;
    // No call in between: where the stack is full, all of it is done or nothing.
    this.waiting.push(active);
    this.frozenBytes += bytes;
    this.isLogChangeDue = true;
    this.active = fresh;
    this.cachedView = undefined;
    this.showReaders();
    this.changeLogSoon();
    this.maintenance.scheduleFlush();
    this.backpressure.update();
    const { failure } = this.health;
    return failure === undefined ? undefined : asVarveError(failure);
  }

  /**
   * Starts a new log if a memtable was frozen since the last one started, once
   * no sync is under way and little is left to be synced: the last sync of the
   * old log blocks. Called after each sync too.
   */
  private changeLogSoon(): void {
    // mutant one-sync-of-a-log: a second sync may hide the failure of the first
    if (!this.isLogChangeDue || this.commits.isSyncing) return;
    const isMuch = this.commits.unsyncedBytes > LAST_SYNC_BYTES_MAX;
    if (isMuch && this.syncsBeforeChange < SYNCS_BEFORE_CHANGE_MAX) {
      this.syncsBeforeChange++;
      this.commits.syncSoon();
      return;
    }
    this.syncsBeforeChange = 0;
    this.changeLogIfDue();
  }

  /** Starts a new log if one is due. A failure latches the handle. */
  private changeLogIfDue(): void {
    if (!this.isLogChangeDue) return;
    this.isLogChangeDue = false;
    try {
      // mutant finish-before-next-log: without it the log is sealed before its last group
      this.commits.finishLog();
      // mutant latch-behind-last-group: otherwise a log is sealed whose last group failed
      if (this.health.failure === undefined) this.changeLog();
    } catch (error) {
      // mutant latch-after-failed-log-change: whether the new log counts is not known
      this.commits.fail(error);
    }
  }

  private changeLog(): void {
    const old = this.log;
    const number = this.versions.newFileNumber();
    const log = LogWriter.create(
      this.runtime.files,
      this.versions.path("log", number),
      {
        number,
        previous: old.number,
        lastSequenceBefore: this.lastSequence,
        isMadeAtOpen: false,
      },
      this.options.writeBufferSize,
    );
    try {
      // mutant sync-directory-of-log: without it a log that the manifest names may be missing
      this.runtime.files.syncDirectory(this.versions.directory);
      // mutant edit-before-new-log: writes go to a log only when the manifest names it
      this.versions.commit({
        sealLogs: [this.sealOf(old)],
        addLogs: [{ number, syncedLength: log.writtenBytes }],
        lastSequence: this.lastSequence,
      });
    } catch (error) {
      log.close();
      throw error;
    }
    this.log = log;
    if (this.active.isEmpty) this.active.firstLog = number;
    this.commits.switchTo(log);
    this.finishedLogBytes += old.writtenBytes;
    // mutant old-log-is-closed: otherwise its handle leaks
    old.close();
  }

  private sealOf(log: LogWriter) {
    return {
      number: log.number,
      length: log.writtenBytes,
      lastSequence: log.lastSequence,
    };
  }

  commit(edit: Edit): void {
    const refusal = this.health.refusal();
    // mutant latch-before-edit: the entry of a table that an edit names may have been lost with a sync of the directory that failed
    if (refusal !== undefined) throw refusal;
    try {
      this.versions.commit(edit);
    } catch (error) {
      // mutant latch-after-failed-edit: an edit that failed may be there or not: nothing may follow
      this.commits.fail(error);
      throw error;
    } finally {
      // Also if it failed: it may have done so behind the edit, in the fresh
      // manifest that was due, when what the edit removes is gone.
      this.cachedView = undefined;
    }
    this.backpressure.update();
  }

  latch(error: unknown): void {
    this.commits.fail(error);
  }

  commitFlush(tables: readonly TableMeta[]): void {
    const [flushed, next = this.active] = this.waiting;
    this.commit({
      addTables: tables.map((table) => ({ level: 0, table })),
      // mutant logs-of-waiting-memtables-stay: a log goes when all that it holds is in tables
      removeLogs: this.versions.logs.filter((log) => log < next.firstLog),
      // mutant flushed-sequence: what is in tables does not count in a log: it may be a put whose tombstone is gone
      flushedSequence: flushed.newest,
      lastSequence: this.lastSequence,
    });
    this.waiting.shift();
    this.frozenBytes -= flushed.bytes;
    this.cachedView = undefined;
    this.showReaders();
    flushed.release();
    this.backpressure.update();
  }

  /** Bytes of the log being written. */
  get logBytes(): number {
    return this.log.bytes;
  }

  // Maintenance calls.

  /** Makes everything accepted so far durable, and reader threads see it. */
  makeDurable(): Promise<void> {
    // mutant sync-by-call: without it sync() promises what may be lost
    const synced = this.commits.flush();
    const { sharing } = this;
    return sharing !== undefined && this.isHeldBack(sharing)
      ? this.whenShown(synced, sharing, this.lastSequence)
      : synced;
  }

  /** Writes every memtable to a table; resolves to how many. */
  async flush(): Promise<number> {
    const refusal = this.health.refusal();
    if (refusal !== undefined) throw refusal;
    const { active } = this;
    let tables = 0;
    // Others may write all the while, and freeze it themselves.
    while (this.active === active && this.backpressure.isFull) {
      tables += this.waiting.length;
      await this.maintenance.frozenAtMost(0);
    }
    if (this.active === active && !active.isEmpty) {
      const failure = this.freeze(0);
      if (failure !== undefined) throw failure;
    }
    tables += this.waiting.length;
    await this.maintenance.frozenAtMost(0);
    return tables;
  }

  /** Ends everything: what was accepted is durable and acknowledged afterwards. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.stopLeaseChecks?.();
    this.sharing?.close();
    let failure: unknown;
    try {
      if (this.health.failure === undefined) await this.closeLog();
    } catch (error) {
      failure = error;
      this.commits.fail(error);
    }
    await this.maintenance.close(this.health.failure === undefined);
    await this.commits.idle();
    await this.backpressure.close();
    if (this.maintenance.hasStray) this.keepNumbers();
    try {
      this.log.close();
    } catch (error) {
      failure ??= error;
    }
    this.versions.close();
    await this.versions.removed();
    failure ??= this.health.refusal();
    if (failure !== undefined) throw failure;
  }

  /**
   * After {@linkcode Tree.close}: leaves arenas and block cache to databases
   * that this thread opens later, unless another thread may still look at
   * them.
   */
  leaveMemory(cache: BlockCache): void {
    const isFree = !this.maintenance.hasStray &&
      (this.sharing?.isDeserted ?? true);
    if (!isFree) return;
    cache.end();
    this.pool.end();
    // What a scan still has comes when it ends.
    for (const memtable of [...this.waiting, this.active]) memtable.release();
  }

  /** Makes the file numbers given so far durable: a thread that cannot be ended may yet make files under them. */
  private keepNumbers(): void {
    if (this.health.failure !== undefined) return;
    try {
      this.commit({});
    } catch {
      // The handle is latched now, and close() says so.
    }
  }

  /** Flushes, if that can be done soon. If not, the logs have everything: what follows makes them durable. */
  private async flushInTime(): Promise<void> {
    const flushed = this.flush().catch(() => {});
    await new Promise<void>((resolve) => {
      const cancel = this.runtime.later(FLUSH_AT_CLOSE_MILLISECONDS, resolve);
      flushed.then(cancel).then(resolve);
    });
  }

  private async closeLog(): Promise<void> {
    const isWorthFlushing = this.active.bytes >= FLUSH_AT_CLOSE_BYTES ||
      this.versions.logs.length >= FLUSH_AT_CLOSE_LOGS;
    if (this.waiting.length > 0 || isWorthFlushing) {
      await this.flushInTime();
    }
    // mutant sync-at-close: without it what was accepted may be lost after closing
    await this.commits.flush();
    await this.commits.idle();
    const refusal = this.health.refusal();
    // no mutant: all is synced; what can have failed since is a change of logs, and close() tells it
    if (refusal !== undefined) throw refusal;
    if (!this.active.isEmpty) {
      this.commit({
        sealLogs: [this.sealOf(this.log)],
        lastSequence: this.lastSequence,
      });
    }
  }
}

/** The most arena that one write may take: a batch is one piece of one memtable. */
const ROOM_MAX = 1.5 * 1024 * 1024 * 1024;
