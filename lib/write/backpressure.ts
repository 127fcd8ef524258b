/**
 * Slows writes down before it has to stop them.
 *
 * Two things must catch up with writers: flushes, or memory runs out, and
 * compactions, or reads become slow. As either falls behind, writes are
 * allowed fewer and fewer bytes a second, by delaying acknowledgements; at
 * the end of the scale they wait until it has caught up. So a writer that
 * awaits is only delayed. One that does not is refused with `BUSY` when what
 * waits for its flush has passed a bound.
 *
 * Invariants:
 * - A write that was accepted is acknowledged sooner or later, also if
 *   flushes or compactions fail.
 * - Nobody waits for pressure that is gone, nor for a database that closes.
 * - Without pressure a write pays for one comparison.
 *
 * @module
 */
import type { Maintenance } from "../compaction/maintenance.ts";
import { VarveError } from "../errors.ts";
import type { ResolvedOptions } from "../options.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { StallEvent } from "../types.ts";

/** Bytes a second that are allowed where compaction begins to fall behind. */
const RATE_MOST = 64 * 1024 * 1024;
/** Bytes a second that are always allowed. */
const RATE_LEAST = 1024 * 1024;
/** Bytes a second that a flush is taken to write before any was measured. */
const FLUSH_RATE = 32 * 1024 * 1024;
/** Writers are slowed from here on: where the last memtable that may be filled is so full. */
const SLOWED_FROM = 0.5;
/** Milliseconds of delay that are gathered before anybody waits: timers are no finer. */
const DELAY_LEAST = 1;
/** Milliseconds for which a writer may make up for time in which it wrote nothing. */
const BURST = 10;
/** Milliseconds of sleep between two looks at the rate: it may be higher by then. */
const NAP = 20;
/** Bytes a second that nobody writes: no bound, as a number that can be reckoned with. */
const RATE_ANY = 2 ** 50;
/** Bytes that may always wait for their flush, however small the write buffer. */
const BACKLOG_LEAST = 8 * 1024 * 1024;

/** What exerts pressure. */
export interface PressureSource {
  /** The runtime. */
  readonly runtime: Runtime;
  /** The options. */
  readonly options: ResolvedOptions;
  /** Flushes and compactions. */
  readonly maintenance: Maintenance;
  /** Memtables that wait for their flush. */
  readonly frozen: readonly unknown[];
  /** Bytes of them. */
  readonly frozenBytes: number;
  /** The memtable that is being filled. */
  readonly activeMemtable: { readonly bytes: number };
  /** Tells the program what happened. */
  tell(event: StallEvent): void;
}

/** The backpressure of one tree. */
export class Backpressure {
  /** Writes whose acknowledgement was delayed. */
  count = 0;
  /** Seconds in which any waited. */
  seconds = 0;
  /** Writes refused. */
  refused = 0;
  /** Whether acknowledgements have to go through {@linkcode Backpressure.delay}. */
  isOn = false;
  private readonly source: PressureSource;
  private pressure = 0;
  /** Bytes that waited for their flush when the database was opened, until they are fewer: nobody who writes now is to blame for them. */
  private inherited: number;
  /** Bytes that were written and not yet paid for with time; below 0 is credit. */
  private unpaid = 0;
  /** Up to when time was paid with, on the monotonic clock. */
  private paidAt = 0;
  private isClosed = false;
  private delayed:
    | { readonly acknowledged: Promise<void>; readonly promise: Promise<void> }
    | undefined;
  /** Resolves when the pressure ends; there while somebody naps. */
  private end: Promise<void> | undefined;
  private wake: (() => void) | undefined;
  private waiting = 0;
  private waitingSince = 0;
  private episode:
    | { readonly reason: StallEvent["reason"]; start: number }
    | undefined;

  /** No pressure yet. */
  constructor(source: PressureSource) {
    this.source = source;
    this.inherited = source.frozenBytes;
  }

  /** Memtables or tables have changed. */
  update(): void {
    const { maintenance, frozen, options } = this.source;
    this.pressure = maintenance.pressure();
    if (this.source.frozenBytes < this.inherited) this.inherited = 0;
    this.isOn = this.pressure > 0 || this.isFull ||
      frozen.length >= options.maxFrozenMemtables;
    if (!this.isOn) this.ends();
  }

  /** Ends every wait; resolves when what waited is acknowledged. Flushes and compactions must have ended, so that nobody waits for them. */
  async close(): Promise<void> {
    this.isClosed = true;
    this.ends();
    // Waits end in the order in which they began.
    await this.delayed?.promise.catch(() => {});
  }

  private ends(): void {
    this.unpaid = 0;
    this.wake?.();
    this.wake = undefined;
    this.end = undefined;
    this.episodeEnds();
  }

  /** Bytes that may wait for their flush. */
  private get backlogMost(): number {
    const { maxFrozenMemtables, writeBufferSize } = this.source.options;
    const most = 2 * maxFrozenMemtables * writeBufferSize;
    return Math.max(BACKLOG_LEAST, most) + this.inherited;
  }

  /** Whether so much waits for its flush that no memtable may be frozen. */
  get isFull(): boolean {
    return this.source.frozenBytes >= this.backlogMost;
  }

  /** Why a write that needs a memtable frozen is refused, if so. */
  refusal(): VarveError | undefined {
    if (!this.isFull) return undefined;
    const { maintenance, frozenBytes } = this.source;
    maintenance.scheduleFlush();
    if (maintenance.flushError !== undefined) {
      this.refused++;
      return new VarveError(
        "IO",
        `${frozenBytes} bytes wait for a flush, and flushing fails`,
        { cause: maintenance.flushError },
      );
    }
    return this.busy(
      `${frozenBytes} bytes wait for a flush, ${this.backlogMost} may`,
    );
  }

  /** Refuses a write of a program that does not await. */
  busy(reason: string): VarveError {
    this.refused++;
    return new VarveError("BUSY", `${reason}; await the writes`);
  }

  /** Delays an acknowledgement of `bytes` bytes as long as is due. */
  delay(acknowledged: Promise<void>, bytes: number): Promise<void> {
    const { frozen, options } = this.source;
    const isStopped = frozen.length > options.maxFrozenMemtables ||
      this.isFull || this.pressure >= 1;
    // What waits for a flush or a compaction anyhow has paid with that.
    if (!isStopped && this.charge(bytes) <= DELAY_LEAST) return acknowledged;
    this.count++;
    if (this.delayed?.acknowledged !== acknowledged) {
      acknowledged.catch(() => {}); // It is returned below, but may fail before.
      const promise = this.wait().then(() => acknowledged);
      this.delayed = { acknowledged, promise };
    }
    return this.delayed.promise;
  }

  /** Adds bytes to what is to be paid for; returns for how many milliseconds they are not. */
  private charge(bytes: number): number {
    const rate = this.pay();
    this.unpaid += bytes;
    return this.unpaid / rate;
  }

  /** Pays with the time that has passed; returns the bytes that a millisecond pays for now. */
  private pay(): number {
    const now = this.source.runtime.monotonicClock();
    const rate = this.rate() / 1000;
    const paid = (now - this.paidAt) * rate;
    this.unpaid = Math.max(this.unpaid - paid, -BURST * rate);
    this.paidAt = now;
    return rate;
  }

  /** Bytes a second that are allowed now. */
  private rate(): number {
    const { frozen, options, activeMemtable, maintenance } = this.source;
    const calm = (1 - Math.min(1, this.pressure)) ** 2;
    const byCompaction = this.pressure > 0 ? RATE_MOST * calm : RATE_ANY;
    const { bytesRead, seconds } = maintenance.flushes;
    const flushed = seconds > 0 ? bytesRead / seconds : FLUSH_RATE;
    const fill = frozen.length - options.maxFrozenMemtables +
      activeMemtable.bytes / options.writeBufferSize;
    const byFlush = fill > SLOWED_FROM
      ? 0.75 * flushed * Math.max(0, 1 - fill) / (1 - SLOWED_FROM)
      : RATE_ANY;
    return RATE_LEAST + Math.min(byCompaction, byFlush);
  }

  private async wait(): Promise<void> {
    this.waitBegins();
    try {
      const { maintenance, options, frozen } = this.source;
      if (frozen.length > options.maxFrozenMemtables) {
        await maintenance.frozenAtMost(options.maxFrozenMemtables);
      } else if (!this.isFull && this.pressure >= 1) await maintenance.relief();
      // A few memtables may be too much, each of one large write.
      while (this.isFull) await maintenance.frozenAtMost(frozen.length - 1);
      await this.sleepUntilPaid();
    } catch {
      // The writes are in the log: their acknowledgement says how it went.
    } finally {
      this.waitEnds();
    }
  }

  /** Sleeps until all is paid for, at the rates to come, but no longer than the rate of now would take. */
  private async sleepUntilPaid(): Promise<void> {
    let rest = this.charge(0);
    for (let naps = rest / NAP; naps > 0 && !this.isClosed; naps--) {
      if (rest <= DELAY_LEAST || !this.isOn) return;
      await this.nap(Math.min(rest, NAP));
      rest = this.charge(0);
    }
  }

  /** Sleeps for some milliseconds, unless the pressure ends before. */
  private nap(milliseconds: number): Promise<void> {
    this.end ??= new Promise((resolve) => this.wake = resolve);
    return Promise.race([this.source.runtime.sleep(milliseconds), this.end]);
  }

  private waitBegins(): void {
    const { runtime, frozen, options } = this.source;
    const now = runtime.monotonicClock();
    if (this.waiting++ === 0) this.waitingSince = now;
    if (this.episode !== undefined) return;
    const isFlush = frozen.length >= options.maxFrozenMemtables || this.isFull;
    const reason = isFlush ? "flush" : "compaction";
    this.episode = { reason, start: now };
    this.source.tell({ type: "stall", begins: true, reason, seconds: 0 });
  }

  private waitEnds(): void {
    if (--this.waiting > 0) return;
    const now = this.source.runtime.monotonicClock();
    this.seconds += (now - this.waitingSince) / 1000;
  }

  private episodeEnds(): void {
    if (this.episode === undefined) return;
    const { reason, start } = this.episode;
    const now = this.source.runtime.monotonicClock();
    const seconds = (now - start) / 1000;
    this.episode = undefined;
    this.source.tell({ type: "stall", begins: false, reason, seconds });
  }
}
