/**
 * Group commit: turns writes that were appended to the log into
 * acknowledgements.
 *
 * Writes that are made before the next microtask runs go to the log in one
 * write call, and all that wait for durability share one sync: those that arrive while a sync
 * is under way share the next. Everybody in a group gets the same promise.
 *
 * A sync is done off the program's thread, unless it is for a group of writers
 * who go on as soon as they are woken; see blocking_syncs.ts. Their
 * acknowledgement comes after a turn of the event loop where that is due.
 *
 * Invariants:
 * - At most one sync is under way, and acknowledgements follow only from it:
 *   a second one could succeed only because the first one's failure marked
 *   the pages clean.
 * - The first failure latches the handle; every waiting write is rejected.
 *
 * @module
 */
import type { VarveError } from "../errors.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { LogWriter } from "../wal/writer.ts";
import type { Durability } from "../types.ts";
import { BLOCKED_MILLISECONDS, BlockingSyncs } from "./blocking_syncs.ts";
import type { Health } from "./health.ts";
import { Turns } from "./turns.ts";

/** Bytes gathered in memory past which a write does not wait for the turn's end. */
const GATHERED_BYTES_MAX = 256 * 1024;
/** Unsynced bytes past which a sync is started though nobody waits for it: it keeps the loss by a power failure, and the sync at the change of logs, small. */
const UNSYNCED_BYTES_MAX = 4 * 1024 * 1024;

class Group {
  readonly promise: Promise<void>;
  resolve!: () => void; // Set by the promise's executor, which runs at once.
  reject!: (error: unknown) => void; // The same.
  writes = 0;
  /** Whether its first write was made by who had just been woken. */
  readonly isContinuing: boolean;

  constructor(isContinuing: boolean) {
    this.isContinuing = isContinuing;
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** The acknowledgements of one database. */
export class CommitQueue {
  /** Writes acknowledged. */
  commits = 0;
  /** Syncs of logs. */
  syncs = 0;
  private readonly health: Health;
  private log: LogWriter;
  private written: Group | undefined;
  private synced: Group | undefined;
  private turnScheduled = false;
  private syncing: Promise<void> | undefined;
  private readonly turns: Turns;
  private readonly blocking: BlockingSyncs;
  private readonly afterSync: () => void;
  /** Groups that are acknowledged after the event loop's turn. */
  private deferred: Promise<void> | undefined;

  /**
   * Acknowledges writes of `log`.
   *
   * @param afterSync Called after each sync that succeeded, while none is under way.
   */
  constructor(
    health: Health,
    log: LogWriter,
    runtime: Runtime,
    afterSync: () => void,
  ) {
    this.health = health;
    this.log = log;
    this.turns = new Turns(runtime);
    this.blocking = new BlockingSyncs(runtime);
    this.afterSync = afterSync;
  }

  /** Whether a sync is under way. */
  get isSyncing(): boolean {
    return this.syncing !== undefined;
  }

  /** Bytes that the operating system has and the disk may not have. */
  get unsyncedBytes(): number {
    return this.log.unsyncedBytes;
  }

  /** Starts a sync, though nobody waits for it. Not while one is under way. */
  syncSoon(): void {
    this.writeOut();
    if (this.health.failure !== undefined) return;
    this.syncing = this.syncOnce(this.blocking.now());
  }

  /** The acknowledgement of what was just appended to the log. */
  acknowledge(durability: Durability): Promise<void> {
    const group = this.join(durability);
    group.writes++;
    if (this.log.pendingBytes > GATHERED_BYTES_MAX) this.writeOut();
    return group.promise;
  }

  private join(durability: Durability): Group {
    // mutant acknowledge-as-asked: otherwise a write counts as durable when it is written
    const group = durability === "sync"
      ? this.synced ??= new Group(this.blocking.isContinuing)
      : this.written ??= new Group(false);
    if (!this.turnScheduled) {
      queueMicrotask(this.turn);
      this.turnScheduled = true;
    }
    return group;
  }

  private readonly turn = (): void => {
    this.turnScheduled = false;
    this.writeOut();
    const { failure } = this.health;
    if (failure !== undefined) {
      this.fail(failure); // Who latched may not have come to it.
      return;
    }
    const { synced, log: { unsyncedBytes } } = this;
    const wanted = synced !== undefined || unsyncedBytes > UNSYNCED_BYTES_MAX;
    // mutant one-sync-at-a-time: a second sync may hide the failure of the first
    if (!wanted || this.syncing !== undefined) return;
    const now = this.blocking.now();
    const mayBlock = synced?.isContinuing &&
      this.blocking.mayBlock(synced.writes, unsyncedBytes, now);
    if (mayBlock) this.syncBlocking(synced, now);
    else this.syncing = this.syncOnce(now);
  };

  /** Hands the gathered group to the operating system and acknowledges who waits for no more. */
  writeOut(): void {
    // mutant latch-of-the-log: otherwise a group follows a torn one
    if (this.health.failure !== undefined) return;
    try {
      this.log.write();
    } catch (error) {
      this.fail(error);
      return;
    }
    const group = this.written;
    this.written = undefined;
    if (group === undefined) return;
    const overdue = this.turns.overdue();
    if (overdue === undefined) this.settle(group);
    else this.deferred = overdue.then(() => this.settle(group));
  }

  private settle(group: Group): void {
    this.commits += group.writes;
    group.resolve();
  }

  /** Syncs for a group, blocking, and acknowledges it, after a turn of the event loop if one is due. */
  private syncBlocking(group: Group, began: number): void {
    this.synced = undefined;
    try {
      this.syncs++;
      this.log.syncBlocking();
    } catch (error) {
      // mutant failed-blocking-sync: otherwise it counts as one that succeeded
      group.reject(this.fail(error));
      return;
    }
    this.blocking.synced(began);
    const overdue = this.turns.overdueAfter(BLOCKED_MILLISECONDS);
    if (overdue === undefined) this.settleSynced(group);
    else {
      const at = this.blocking.now();
      this.deferred = overdue.then(() => {
        this.blocking.gaveWay(at);
        this.settleSynced(group);
      });
    }
    this.afterSync();
  }

  /** Acknowledges a group whose sync succeeded. */
  private settleSynced(group: Group): void {
    // mutant latch-of-acknowledgements: otherwise a sync acknowledges behind another failure
    if (this.health.failure !== undefined) {
      group.reject(this.health.refusal());
      return;
    }
    this.settle(group);
    this.blocking.woke();
  }

  private async syncOnce(began: number): Promise<void> {
    const group = this.synced;
    this.synced = undefined;
    try {
      this.syncs++;
      // mutant sync-group: without it writes are acknowledged that may be lost
      await this.log.sync();
    } catch (error) {
      this.syncing = undefined;
      // mutant failed-sync-is-told: otherwise writes wait for ever whose sync failed
      group?.reject(this.health.fail(error));
      this.fail(error);
      return;
    }
    this.syncing = undefined;
    this.blocking.synced(began);
    // mutant acknowledge-what-was-synced: who came while the sync was under way waits for the next
    if (group !== undefined) this.settleSynced(group);
    if (this.health.failure !== undefined) return;
    this.afterSync();
    // Behind the writers that were just woken: their next writes join the next sync.
    if (this.synced !== undefined) queueMicrotask(this.turn);
  }

  /** Latches, and rejects everyone who waits. */
  fail(error: unknown): VarveError {
    const reason = this.health.fail(error);
    const groups = [this.written, this.synced];
    this.written = undefined;
    this.synced = undefined;
    for (const group of groups) group?.reject(reason);
    return reason;
  }

  /** Everything appended so far, made durable. */
  flush(): Promise<void> {
    const refusal = this.health.refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    const nothingLeft = this.log.pendingBytes === 0 &&
      this.log.unsyncedBytes === 0 && this.synced === undefined &&
      this.syncing === undefined;
    return nothingLeft ? Promise.resolve() : this.join("sync").promise;
  }

  /**
   * Ends the log: writes and syncs it, blocking. Not while a sync is under
   * way. Who waits for a sync is acknowledged by the next one.
   */
  finishLog(): void {
    this.writeOut();
    // mutant latch-before-seal: otherwise a sync hides that a group was torn
    if (this.health.failure !== undefined) return;
    // mutant sync-before-seal: without it later writes may survive earlier ones
    this.log.syncNow();
    this.syncs++;
  }

  /** Goes on with a new log. The old one was finished. */
  switchTo(log: LogWriter): void {
    this.log = log;
  }

  /** Resolves when no sync is under way and everybody was acknowledged. */
  async idle(): Promise<void> {
    await this.deferred;
    while (this.syncing !== undefined || this.synced !== undefined) {
      if (this.syncing !== undefined) await this.syncing;
      else await this.synced?.promise.catch(() => {});
    }
  }
}
