/**
 * Keeps the books of a workload on a disk that may crash: what was issued, what
 * was acknowledged how, and so which states a crash may leave.
 *
 * @module
 */
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { type Db, type Options, VarveError } from "../../../mod.ts";
import { closeQuietly, openIn } from "../../engine/support/memory.ts";
import { batchOf, type Change, digestOf, valueOf } from "./kill_model.ts";

const decoder = new TextDecoder();

/** Rows as text, to be compared. */
export type State = string;

/** What may be found after a crash at one moment: any state from the first to the last. */
export interface Window {
  /** The state behind what must be there. */
  readonly first: number;
  /** The state behind everything that was issued. */
  readonly last: number;
}

/** How a machine ends. */
export type Crash = "process death" | "power loss";

/** The books of one workload. */
export class Ledger {
  /** The state behind the first 0, 1, 2 ... writes. */
  readonly states: State[] = [""];
  /** Writes that were accepted and then rejected: they may be there or not. */
  rejected = 0;
  /** Writes that were refused at once: they must not be there. */
  refused = 0;
  /** What writes were rejected and refused with. */
  readonly errors: unknown[] = [];
  #rows: Map<string, string> = new Map();
  readonly #history: Map<string, string>[] = [new Map()];
  readonly #keys: Set<string> = new Set();
  #accepted = 0;
  #durable = 0;

  /** How many writes were issued and not refused. */
  get issued(): number {
    return this.states.length - 1;
  }

  /** Every key that a write has touched. */
  get keys(): string[] {
    return [...this.#keys];
  }

  /** Issues a write; resolves when it is settled, and never rejects. */
  async write(
    db: Db,
    durability: "sync" | "buffered",
    ...changes: Change[]
  ): Promise<void> {
    const promise = db.write(batchOf(changes), { durability });
    promise.catch(() => {}); // It is awaited below.
    // A write that was accepted shows at once, whatever becomes of it.
    const isThere = shows(db, changes);
    if (isThere) this.#apply(changes);
    const number = this.issued;
    try {
      await promise;
      if (!isThere) throw new Error("a write was acknowledged and never seen");
      this.#accepted = Math.max(this.#accepted, number);
      if (durability === "sync") this.reached(number);
    } catch (error) {
      if (isThere) this.rejected++;
      else this.refused++;
      this.errors.push(error);
    }
  }

  #apply(changes: readonly Change[]): void {
    const rows = this.#rows;
    for (const change of changes) {
      if (change.kind === "put") {
        const value = valueOf(change.stamp, change.length);
        rows.set(change.key, digestOf(value));
        this.#keys.add(change.key);
      } else if (change.kind === "delete") rows.delete(change.key);
      else {
        for (const key of rows.keys()) {
          if (key >= change.start && key < change.end) rows.delete(key);
        }
      }
    }
    this.#history.push(new Map(rows));
    this.states.push(asState([...rows].sort(([a], [b]) => a < b ? -1 : 1)));
  }

  /** Runs a call after which every write acknowledged before it is durable. */
  async barrier(call: () => Promise<unknown>): Promise<void> {
    const accepted = this.#accepted;
    await call();
    this.reached(accepted);
  }

  /** The first writes are known to be durable. */
  reached(writes: number): void {
    this.#durable = Math.max(this.#durable, writes);
  }

  /** What a crash now may leave. */
  window(crash: Crash): Window {
    const first = crash === "power loss" ? this.#durable : this.#accepted;
    return { first, last: this.issued };
  }

  /**
   * An opening showed this: it is durable from now on, and what is missing
   * stays away.
   *
   * @returns What is wrong with it; `undefined` if nothing is.
   */
  shown(state: State): string | undefined {
    const { first, last } = this.window("process death");
    const there = this.states.slice(first, last + 1).indexOf(state);
    if (there < 0) return describe(state, this, first, last);
    const kept = first + there;
    this.states.length = kept + 1;
    this.#history.length = kept + 1;
    this.#rows = new Map(this.#history[kept]);
    this.#accepted = this.#durable = kept;
    return undefined;
  }
}

/** Whether the last put of some changes is what its key has. */
function shows(db: Db, changes: readonly Change[]): boolean {
  const put = changes.findLast((change) => change.kind === "put");
  if (put === undefined) return true;
  let value: Uint8Array | undefined;
  try {
    value = db.get(put.key);
  } catch (error) {
    // It had to look in a file, so the write is not in memory.
    if (error instanceof VarveError && error.code === "IO") return false;
    throw error;
  }
  return value !== undefined &&
    digestOf(value) === digestOf(valueOf(put.stamp, put.length));
}

function asState(rows: readonly (readonly [string, string])[]): State {
  return rows.map(([key, digest]) => `${key}=${digest}`).join("\n");
}

/** The state that a database is in; throws if its ways to read disagree. */
export function stateOf(db: Db, keys: readonly string[] = []): State {
  const rows: [string, string][] = [];
  for (const [key, value] of db.scan()) {
    rows.push([decoder.decode(key), digestOf(value)]);
  }
  const reversed: [string, string][] = [];
  for (const [key, value] of db.scan({ reverse: true })) {
    reversed.push([decoder.decode(key), digestOf(value)]);
  }
  const state = asState(rows);
  if (asState(reversed.reverse()) !== state) {
    throw new Error("a reverse scan differs from a forward one");
  }
  const found = new Map(rows);
  for (const key of new Set([...keys, ...found.keys()])) {
    const value = db.get(key);
    const digest = value === undefined ? undefined : digestOf(value);
    if (digest !== found.get(key) || db.has(key) !== found.has(key)) {
      throw new Error(`a get of ${key} differs from a scan`);
    }
  }
  return state;
}

/** What a disk was found to hold. */
export interface Finding {
  /** What is wrong; `undefined` if nothing is. */
  readonly wrong?: string;
  /** How many of the first writes are there. */
  readonly there: number;
}

/** What an opening shows: a state, or what is wrong. */
export type Look = { readonly state: State } | { readonly wrong: string };

/** Opens what a crash left, reads everything, and closes it. */
export async function lookAt(
  files: MemoryFileSystem,
  ledger: Ledger,
  options: Options,
): Promise<Look> {
  let db: Db;
  try {
    db = await openIn(files, options);
  } catch (error) {
    return { wrong: `it does not open: ${error}` };
  }
  try {
    return { state: stateOf(db, ledger.keys) };
  } catch (error) {
    if (error instanceof VarveError || error instanceof Error) {
      return { wrong: `it cannot be read: ${error}` };
    }
    throw error;
  } finally {
    await closeQuietly(db);
  }
}

/** Compares what an opening showed with what a crash may have left. */
export function judge(
  look: Look,
  ledger: Ledger,
  { first, last }: Window,
): Finding {
  if ("wrong" in look) return { wrong: look.wrong, there: -1 };
  const there = ledger.states.slice(first, last + 1).indexOf(look.state);
  if (there >= 0) return { there: first + there };
  return { wrong: describe(look.state, ledger, first, last), there: -1 };
}

/** Opens what a crash left and compares it with what it may have left. */
export async function examine(
  files: MemoryFileSystem,
  ledger: Ledger,
  window: Window,
  options: Options,
): Promise<Finding> {
  return judge(await lookAt(files, ledger, options), ledger, window);
}

function describe(
  found: State,
  ledger: Ledger,
  first: number,
  last: number,
): string {
  const other = ledger.states.indexOf(found);
  if (other >= 0) {
    return `it is as behind ${other} writes; ${first} were promised, ${last} issued`;
  }
  const expected = new Set(ledger.states[first].split("\n"));
  const rows = new Set(found.split("\n"));
  const missing = [...expected].filter((row) => !rows.has(row)).slice(0, 5);
  const surplus = [...rows].filter((row) => !expected.has(row)).slice(0, 5);
  return `it is as behind no number of writes (${first} to ${last} would do); ` +
    `against ${first}: missing ${JSON.stringify(missing)}, ` +
    `there instead ${JSON.stringify(surplus)}`;
}
