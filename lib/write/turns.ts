/**
 * Sees to it that the event loop gets its turns.
 *
 * A program that awaits writes in a loop that are buffered, or whose syncs
 * block, is woken by microtasks only: without this, nothing else of it would
 * run, timers and I/O included, and no message of the worker would arrive.
 *
 * @module
 */
import type { Runtime } from "../runtime/runtime.ts";

/** Milliseconds that the event loop may be kept waiting. */
const TURN_MILLISECONDS = 3;
/** Calls between two looks at the event loop: a look costs about what a write costs. */
const CALLS_PER_LOOK = 16;

/** Watches one event loop. */
export class Turns {
  private readonly runtime: Runtime;
  private calls = 0;
  private turn: Promise<void> | undefined;
  private asked = 0;

  /** Watches the event loop of `runtime`. */
  constructor(runtime: Runtime) {
    this.runtime = runtime;
  }

  /** What to wait for, if the event loop is overdue. */
  overdue(): Promise<void> | undefined {
    const isLook = this.turn !== undefined || ++this.calls >= CALLS_PER_LOOK;
    return isLook ? this.overdueAfter(TURN_MILLISECONDS) : undefined;
  }

  /** What to wait for, if the event loop has waited for longer than this. */
  overdueAfter(milliseconds: number): Promise<void> | undefined {
    if (this.turn === undefined) this.ask();
    const waiting = this.runtime.monotonicClock() - this.asked;
    return waiting > milliseconds ? this.turn : undefined;
  }

  private ask(): void {
    this.calls = 0;
    this.asked = this.runtime.monotonicClock();
    this.turn = this.runtime.pause().then(() => {
      this.turn = undefined;
    });
  }
}
