/**
 * Simulated time: what runs when, on the one thread of a simulation.
 *
 * Whatever would come from outside the engine's own turn (the end of a sync, a
 * message, a timer, the next turn of the event loop) is a task. One task runs
 * at a time. Then all microtasks run, before dice choose the next one among
 * those that are due; if none is, time moves on to the earliest.
 *
 * Invariants:
 * - Nothing but tasks and microtasks runs, so the dice decide everything: the
 *   order of microtasks is the language's.
 * - What belongs to a process that has ended never runs.
 * - A run without progress ends with {@linkcode NoProgress}, be it that there
 *   is nothing left to run, or always something.
 *
 * @module
 */
import { setImmediate } from "node:timers";
import type { Dice } from "./random.ts";

/** Tasks without progress after which a run is given up. */
const TASKS_MOST = 40_000;
/** The same if nothing but ticking timers is left. */
const TICKS_MOST = 2_000;

/** Something hangs, or never ends. */
export class NoProgress extends Error {}

/** Whose a task is. */
export interface Owner {
  /** Nothing of it runs any more. */
  readonly isDead: boolean;
}

interface Task {
  readonly time: number;
  readonly owner: Owner;
  readonly call: () => void;
  /** Of a timer that ticks for ever: nobody waits for it. */
  readonly isTick: boolean;
}

/** Lets every microtask run. */
function afterMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** See the head of this file. */
export class Scheduler {
  /** Milliseconds since the beginning. */
  now = 0;
  /** Tasks run so far. */
  steps = 0;
  /** Called between tasks, when no microtask is left. */
  onQuiet: (() => Promise<void> | undefined) | undefined;
  readonly #dice: Dice;
  #tasks: Task[] = [];
  #idleWaiters: (() => void)[] = [];
  #stepsSinceProgress = 0;
  #ticksSinceProgress = 0;

  /** @param dice Decide what is next. */
  constructor(dice: Dice) {
    this.#dice = dice;
  }

  /** Runs `call` in so many milliseconds; returns what cancels it. */
  after(
    milliseconds: number,
    owner: Owner,
    call: () => void,
    isTick = false,
  ): () => void {
    if (owner.isDead) return () => {};
    const task = { time: this.now + milliseconds, owner, call, isTick };
    this.#tasks.push(task);
    return () => {
      const at = this.#tasks.indexOf(task);
      if (at >= 0) this.#tasks.splice(at, 1);
    };
  }

  /** Resolves in so many milliseconds. */
  sleep(milliseconds: number, owner: Owner): Promise<void> {
    return new Promise((resolve) => {
      this.after(milliseconds, owner, resolve);
    });
  }

  /** Resolves when nothing is left to be run but timers that tick. */
  idle(): Promise<void> {
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Forgets the tasks of owners that are dead. */
  dropDead(): void {
    this.#tasks = this.#tasks.filter(({ owner }) => !owner.isDead);
  }

  /** Forgets who waits for idleness. */
  forgetIdleWaiters(): void {
    this.#idleWaiters = [];
  }

  /** Something was achieved: patience begins anew. */
  progress(): void {
    this.#stepsSinceProgress = 0;
    this.#ticksSinceProgress = 0;
  }

  /** Runs tasks until `work` is settled, and all microtasks with it. */
  async runUntil<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    work.then(settle, settle);
    this.progress();
    for (;;) {
      await afterMicrotasks();
      const quiet = this.onQuiet?.();
      if (quiet !== undefined) await quiet;
      if (isSettled) return await work;
      this.#step();
    }
  }

  #step(): void {
    this.steps++;
    const busy = this.#tasks.some(({ isTick }) => !isTick);
    if (!busy && this.#idleWaiters.length > 0) {
      const waiters = this.#idleWaiters;
      this.#idleWaiters = [];
      for (const wake of waiters) wake();
      return;
    }
    if (++this.#stepsSinceProgress > TASKS_MOST) {
      throw new NoProgress(`no progress in ${TASKS_MOST} tasks`);
    }
    if (!busy && ++this.#ticksSinceProgress > TICKS_MOST) {
      throw new NoProgress("nothing is left to run but timers");
    }
    this.#takeNext().call();
  }

  #takeNext(): Task {
    const tasks = this.#tasks;
    let earliest = Infinity;
    for (const { time } of tasks) earliest = Math.min(earliest, time);
    if (earliest === Infinity) throw new NoProgress("nothing is left to run");
    this.now = Math.max(this.now, earliest);
    let due = 0;
    for (const { time } of tasks) if (time <= this.now) due++;
    let chosen = due > 1 ? this.#dice.below(due) : 0;
    for (let i = 0; i < tasks.length; i++) {
      if (tasks[i].time <= this.now && chosen-- === 0) {
        return tasks.splice(i, 1)[0];
      }
    }
    throw new Error("one task was due");
  }
}
