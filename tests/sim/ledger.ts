/**
 * The books of one database over all its lives: which batches were committed
 * in which order, and which of them a crash must spare.
 *
 * States are counted: state 0 is the empty database, state n is what the first
 * n batches made.
 *
 * Invariant: `durable <= written <= last`. What was acknowledged as durable
 * survives everything, what was handed to the operating system survives the
 * death of the process, what was merely accepted may be there or not.
 *
 * @module
 */
import { type Change, Model, type Print, type Undo } from "./model.ts";

/** What a batch left behind it. */
interface Entry {
  readonly print: Print;
  readonly rows: number;
  /** The sequence of its last operation. */
  readonly sequence: number;
  readonly undo: readonly Undo[];
}

/** How a process ends. */
export type Crash = "power loss" | "process death";

/** States that may be found: from the first to the last. */
export interface Window {
  readonly first: number;
  readonly last: number;
}

/** See the head of this file. */
export class Ledger {
  /** The state as reads of the open handle see it. */
  readonly model: Model;
  /** Acknowledged, at any level, up to here. */
  written = 0;
  /** Acknowledged as durable up to here. */
  durable = 0;
  /** Whether a write or sync of a log or manifest was made to fail, so that the page cache cannot be relied upon. */
  isCacheSuspect = false;
  readonly #entries: Entry[];

  /** The books of an empty database. */
  constructor(
    model = new Model(),
    entries: Entry[] = [
      { print: { a: 0, b: 0 }, rows: 0, sequence: 0, undo: [] },
    ],
  ) {
    this.model = model;
    this.#entries = entries;
  }

  /** The books as they are now. */
  copy(): Ledger {
    const copy = new Ledger(this.model.copy(), this.#entries.slice());
    copy.written = this.written;
    copy.durable = this.durable;
    copy.isCacheSuspect = this.isCacheSuspect;
    return copy;
  }

  /** The newest state. */
  get last(): number {
    return this.#entries.length - 1;
  }

  /** The sequence of the last operation that made a state. */
  sequenceAt(state: number): number {
    return this.#entries[state].sequence;
  }

  /** A batch was accepted; the sequence of its last operation is not known yet. */
  add(changes: readonly Change[], sequence: number): void {
    const { model } = this;
    const undo = changes.map((change) => model.apply(change));
    const { print, size: rows } = model;
    this.#entries.push({ print, rows, sequence, undo });
  }

  /** Goes back to an earlier state, for good. */
  goBack(state: number): void {
    while (this.last > state) {
      const entry = this.#entries.pop() as Entry; // There are some left.
      for (const undo of entry.undo.toReversed()) this.model.undo(undo);
    }
    this.written = Math.min(this.written, state);
    this.durable = Math.min(this.durable, state);
  }

  /** The rows of an earlier state. */
  modelAt(state: number): Model {
    const model = this.model.copy();
    for (let at = this.last; at > state; at--) {
      for (const undo of this.#entries[at].undo.toReversed()) model.undo(undo);
    }
    return model;
  }

  /** The write that made a state was acknowledged. */
  acknowledged(state: number, durability: "sync" | "buffered"): void {
    this.written = Math.max(this.written, state);
    if (durability === "sync") this.durable = Math.max(this.durable, state);
  }

  /** What may be found after a crash now. */
  window(crash: Crash): Window {
    const { durable, written, last } = this;
    const isWrittenLost = crash === "power loss" || this.isCacheSuspect;
    return {
      first: isWrittenLost ? durable : Math.max(durable, written),
      last,
    };
  }

  /** The newest state of a window that looks like this, and was made with no higher sequence; -1 if there is none. */
  find(
    { a, b }: Print,
    rows: number,
    { first, last }: Window,
    sequence = Infinity,
  ): number {
    for (let state = last; state >= first; state--) {
      const entry = this.#entries[state];
      if (
        entry.print.a === a && entry.print.b === b && entry.rows === rows &&
        entry.sequence <= sequence
      ) return state;
    }
    return -1;
  }

  /** An open has shown a state: it stays, and what came behind it stays away. */
  shown(state: number): void {
    this.goBack(state);
    this.written = this.durable = state;
    this.isCacheSuspect = false;
  }
}
