/**
 * What a killed process may have left: the journal that it wrote, and the
 * states that its database may be in.
 *
 * The journal has one line for each event, written by the process itself with
 * one call each, so that the operating system has it when the process dies:
 *
 * ```
 * W {"number":7,"level":"sync","changes":[...]}   before write 7 is issued
 * A 7                                             after its promise resolved
 * S {"flushes":3,"compactions":1,"stalls":0}      what the engine did so far
 * C                                               close() resolved
 * ```
 *
 * Writes are issued on one thread, so the order of the W lines is the order of
 * the engine's sequences. A killed process must leave the state behind some
 * first writes of that order: all that were acknowledged at least, none that
 * was not issued.
 *
 * @module
 */
import { crc32 } from "node:zlib";
import { Batch } from "../../../mod.ts";

/** One operation of a write. */
export type Change =
  | {
    readonly kind: "put";
    readonly key: string;
    readonly stamp: string;
    readonly length: number;
  }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "range"; readonly start: string; readonly end: string };

/** A write as it was issued. */
export interface IssuedWrite {
  /** Rising from 0 in each process. */
  readonly number: number;
  /** Its durability. */
  readonly level: "sync" | "buffered";
  /** What it changes, all or nothing. */
  readonly changes: readonly Change[];
}

/** What the engine did in one process. */
export interface Work {
  readonly flushes: number;
  readonly compactions: number;
  readonly stalls: number;
}

/** What one process reported. */
export interface Journal {
  /** The writes, in the order in which they were issued. */
  readonly writes: IssuedWrite[];
  /** How many of the first writes must be there. */
  readonly certain: number;
  /** How many writes were acknowledged. */
  readonly acknowledged: number;
  /** The last report of this. */
  readonly work: Work;
}

/** What a process found at opening. */
export interface Dump {
  /** Digests by key, in the order of the scan. */
  readonly rows: [key: string, digest: string][];
  /** `stats().wal.lostTailBytes`. */
  readonly lostTailBytes: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

/** The bytes that stand for a stamp: itself, then bytes that depend on it, cut at `length`. */
export function valueOf(stamp: string, length: number): Uint8Array {
  const value = new Uint8Array(length);
  const head = encoder.encode(`${stamp};`);
  value.set(head.subarray(0, length));
  let state = crc32(head) | 1;
  for (let i = head.length; i < length; i++) {
    state = Math.imul(state, 0x2c9277b5) + 0x3ac1 | 0;
    value[i] = state >>> 24;
  }
  return value;
}

/** Changes as the engine takes them, all or nothing. */
export function batchOf(changes: readonly Change[]): Batch {
  const batch = new Batch();
  for (const change of changes) {
    if (change.kind === "put") {
      batch.put(change.key, valueOf(change.stamp, change.length));
    } else if (change.kind === "delete") batch.delete(change.key);
    else batch.deleteRange(change.start, change.end);
  }
  return batch;
}

/** What stands for a value in a dump. */
export function digestOf(value: Uint8Array): string {
  const head = decoder.decode(value.subarray(0, 16));
  return `${head.split(";")[0]} ${value.length} ${crc32(value).toString(16)}`;
}

/** The lines of a journal; one that the death of its writer cut is left out. */
export function parseJournal(text: string): Journal {
  const writes: IssuedWrite[] = [];
  let certain = 0;
  let acknowledged = 0;
  let work: Work = { flushes: 0, compactions: 0, stalls: 0 };
  for (const line of text.split("\n").slice(0, -1)) {
    const rest = line.slice(2);
    if (line[0] === "W") writes.push(JSON.parse(rest));
    else if (line[0] === "A") {
      acknowledged++;
      certain = Math.max(certain, Number(rest) + 1);
    } else if (line[0] === "S") work = JSON.parse(rest);
    else if (line[0] === "C") certain = writes.length;
    else throw new Error(`a journal has the line ${JSON.stringify(line)}`);
  }
  writes.forEach((write, i) => {
    if (write.number !== i) throw new Error(`write ${i} is not in its place`);
  });
  return { writes, certain, acknowledged, work };
}

/** The states that a database may be in. */
export class PossibleStates {
  /** The state behind everything that must be there, as digests by key. */
  readonly #state: Map<string, string> = new Map();
  /** The writes behind it that may be there. */
  #open: IssuedWrite[] = [];
  /** Writes that were issued, and keys that they touched. */
  readonly #keys: Set<string> = new Set();

  /** Every key ever written. */
  get keys(): string[] {
    return [...this.#keys].sort();
  }

  /** Takes in what a process reported before it died. */
  add(journal: Journal): void {
    if (this.#open.length > 0 && journal.writes.length > 0) {
      throw new Error("writes follow on a state that was never looked at");
    }
    const { writes, certain } = journal;
    for (const write of writes.slice(0, certain)) this.#apply(write);
    this.#open.push(...writes.slice(certain));
  }

  #apply({ changes }: IssuedWrite): void {
    for (const change of changes) {
      if (change.kind === "put") {
        this.#keys.add(change.key);
        const value = valueOf(change.stamp, change.length);
        this.#state.set(change.key, digestOf(value));
      } else if (change.kind === "delete") this.#state.delete(change.key);
      else {
        for (const key of this.#state.keys()) {
          if (key >= change.start && key < change.end) this.#state.delete(key);
        }
      }
    }
  }

  /**
   * Settles which state a database is in.
   *
   * A dead process loses nothing that the system has, so there is no lost
   * tail, but for a write that the kill itself tore.
   *
   * @param tornTails Lengths of the torn ends of logs before it was opened.
   * @returns What is wrong with it; `undefined` if it is one of the possible ones.
   */
  settle(dump: Dump, tornTails: readonly number[]): string | undefined {
    const { lostTailBytes } = dump;
    if (lostTailBytes > 0 && !tornTails.includes(lostTailBytes)) {
      return `it lost a tail of ${lostTailBytes} bytes; torn were ${
        JSON.stringify(tornTails)
      }`;
    }
    const before = this.#differences(dump);
    const open = this.#open;
    this.#open = [];
    for (let there = 0; there <= open.length; there++) {
      if (there > 0) this.#apply(open[there - 1]);
      if (this.#differences(dump, 1).length === 0) return undefined;
    }
    return [
      `none of ${
        open.length + 1
      } possible states; against the one behind all acknowledged writes:`,
      ...before.slice(0, 8),
      `and against the one behind all issued writes:`,
      ...this.#differences(dump).slice(0, 8),
    ].join("\n  ");
  }

  /** The first differences between the state and what was found. */
  #differences(dump: Dump, most = 8): string[] {
    const found = new Map(dump.rows);
    const differences: string[] = [];
    const note = (key: string, expected?: string, there?: string) =>
      differences.push(
        `${key}: expected ${expected ?? "nothing"}, found ${
          there ?? "nothing"
        }`,
      );
    for (const [key, expected] of this.#state) {
      if (differences.length >= most) break;
      const there = found.get(key);
      if (there !== expected) note(key, expected, there);
    }
    for (const [key, there] of dump.rows) {
      if (differences.length >= most) break;
      if (!this.#state.has(key)) note(key, undefined, there);
    }
    return differences;
  }
}
