/**
 * When a sync of the log may block the program's thread.
 *
 * To have a few bytes synced by another thread, and to hear of it, takes as
 * long again as the sync itself on a fast disk. A program that awaits one
 * write after the other would pay for that each time. So a sync blocks if it
 * is for writes that were made by who had just been acknowledged, before the
 * event loop ran anything else: nobody was there to share it.
 *
 * Writes that come from the event loop, as those of a server's requests do,
 * never wait that way: while their sync is under way others come, and share
 * the next one.
 *
 * Nor does a sync block
 * - for very many writes;
 * - where the writers took longer than a millisecond since the last one: they
 *   have other things to do than to wait;
 * - that may take long: of much, or where the last one took more than a
 *   millisecond;
 * - for a while after a turn in which the event loop had other work. While
 *   syncs block it gets a turn after each millisecond.
 *
 * @module
 */
import type { Runtime } from "../runtime/runtime.ts";

/** Microtasks after an acknowledgement in which who was woken goes on: each `async` function on the way takes one to three. */
const MICROTASKS = 16;
/** The most writes that a blocking sync is for: with 200 writers it is slower than one elsewhere, with 100 still faster. */
const WRITES_MAX = 64;
/** What it may have to do, */
const BYTES_MAX = 32 * 1024;
/** and the milliseconds that the last sync may have taken, and the writers since. */
const MILLISECONDS_MAX = 1;
/** A turn of the event loop that takes more milliseconds than this had something else to do; */
const IDLE_TURN_MILLISECONDS = 0.2;
/** then so many syncs are done elsewhere. */
const SYNCS_ELSEWHERE = 64;

/** Milliseconds after which the event loop gets a turn while syncs block. */
export const BLOCKED_MILLISECONDS = 1;

/** What is known of the syncs of one log after the other. */
export class BlockingSyncs {
  private readonly runtime: Pick<Runtime, "monotonicClock">;
  /** Microtasks left in which writers go on. */
  private left = 0;
  /** Milliseconds that the last sync took. */
  private last = 0;
  /** When it ended. */
  private ended = 0;
  /** Syncs that are not to block. */
  private elsewhere = 0;

  /** Nothing is known yet. */
  constructor(runtime: Pick<Runtime, "monotonicClock">) {
    this.runtime = runtime;
  }

  /** Writers have been acknowledged. */
  woke(): void {
    if (this.left === 0) queueMicrotask(this.pass);
    this.left = MICROTASKS;
  }

  /** All microtasks run before the event loop goes on, so this has come to its end by then. */
  private readonly pass = (): void => {
    if (--this.left > 0) queueMicrotask(this.pass);
  };

  /** Whether a write that is made now is made by who was just woken. */
  get isContinuing(): boolean {
    return this.left > 0;
  }

  /** Whether a sync of so many bytes, for so many such writes, may block now. */
  mayBlock(writes: number, bytes: number, now: number): boolean {
    if (this.elsewhere > 0) {
      this.elsewhere--;
      return false;
    }
    return writes <= WRITES_MAX && bytes <= BYTES_MAX &&
      this.last <= MILLISECONDS_MAX && now - this.ended <= MILLISECONDS_MAX;
  }

  /** The time, for the other calls. */
  now(): number {
    return this.runtime.monotonicClock();
  }

  /** A sync that began at a time has ended. */
  synced(began: number): void {
    this.ended = this.now();
    this.last = this.ended - began;
  }

  /** The event loop, to which way was given at a time, has had its turn. */
  gaveWay(at: number): void {
    if (this.now() - at > IDLE_TURN_MILLISECONDS) {
      this.elsewhere = SYNCS_ELSEWHERE;
    }
  }
}
