/**
 * What a database of textual keys should hold, kept beside it: the reference
 * engines' `HashMap` oracle, and their mixed workload.
 *
 * @module
 */
import type { Db, KeyRange } from "../../../mod.ts";
import { assertEquals } from "../../assert.ts";
import { numbered, rows, text } from "./bytes.ts";
import type { Lcg } from "./random.ts";

/** How many writes of a workload wait for their acknowledgement together. */
const AWAITED_TOGETHER = 64;

/** Applies the same writes to a database and to a map. */
export class Oracle {
  /** The value of every key ever touched; `undefined` once deleted. */
  readonly expected: Map<string, string | undefined> = new Map();
  #waiting: Promise<void>[] = [];

  /** Sets a value in both. */
  async put(db: Db, key: string, value: string): Promise<void> {
    this.expected.set(key, value);
    await this.#accept(db.put(key, value));
  }

  /** Deletes in both. */
  async delete(db: Db, key: string): Promise<void> {
    this.expected.set(key, undefined);
    await this.#accept(db.delete(key));
  }

  /** Deletes [start, end) in both. */
  async deleteRange(db: Db, start: string, end: string): Promise<void> {
    for (const key of this.expected.keys()) {
      if (key >= start && key < end) this.expected.set(key, undefined);
    }
    await this.#accept(db.deleteRange(start, end));
  }

  /** Waits until everything written so far is acknowledged. */
  async settled(): Promise<void> {
    await Promise.all(this.#waiting);
    this.#waiting = [];
  }

  /** Every key gets what the map says. */
  verifyGets(db: Db): void {
    for (const [key, value] of this.expected) {
      assertEquals(text(db.get(key)), value, key);
    }
  }

  /** A scan of `range` yields the live keys, in order, and nothing else. */
  verifyScan(db: Db, range: KeyRange = {}): void {
    const live = [...this.expected]
      .filter((entry): entry is [string, string] => entry[1] !== undefined)
      .sort(([a], [b]) => a < b ? -1 : 1);
    assertEquals(rows(db.scan(range)), live);
    assertEquals(rows(db.scan({ ...range, reverse: true })), live.reverse());
  }

  async #accept(write: Promise<void>): Promise<void> {
    this.#waiting.push(write);
    if (this.#waiting.length >= AWAITED_TOGETHER) await this.settled();
  }
}

/** The shape of a mixed workload; what the shares leave over is overwrites. */
export interface Workload {
  /** Keys `key_0000` up. */
  readonly keys: number;
  /** How many operations. */
  readonly operations: number;
  /** Operations below `puts` of a hundred are puts, then deletes, then range deletes. */
  readonly shares: { puts: number; deletes: number; rangeDeletes: number };
  /** The most keys that one range delete spans. */
  readonly window: number;
  /** Distinguishes the values of rounds. */
  readonly round?: number;
}

/** Runs the reference engines' mixed workload: same generator, same order of draws. */
export async function runWorkload(
  db: Db,
  oracle: Oracle,
  random: Lcg,
  load: Workload,
): Promise<void> {
  const { puts, deletes, rangeDeletes } = load.shares;
  const round = load.round === undefined ? "" : `_r${load.round}`;
  for (let n = 0; n < load.operations; n++) {
    const operation = random.below(100);
    const i = random.below(load.keys);
    const key = numbered("key", i);
    if (operation < puts) {
      await oracle.put(db, key, `v${i}${round}_${random.next()}`);
    } else if (operation < puts + deletes) {
      await oracle.delete(db, key);
    } else if (operation < puts + deletes + rangeDeletes) {
      const end = Math.min(i + random.below(load.window) + 1, load.keys);
      await oracle.deleteRange(db, key, numbered("key", end));
    } else {
      await oracle.put(db, key, `overwrite${i}${round}_${random.next()}`);
    }
  }
  await oracle.settled();
}
