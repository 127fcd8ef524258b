/**
 * The workload of the soak, and what it should have left: for each key the
 * version of its value, or 0 for none. A value is made of key and version, so
 * that none need be kept.
 *
 * @module
 */
import type { Db, ReadonlyDb, Snapshot } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import type { Random } from "../engine/support/random.ts";

/** How many keys there are. */
export const KEYS = 20_000;
const VALUE_MIN = 60;
const VALUE_SPREAD = 300;
const RANGE_MAX = 40;

/** What reads. */
export type Reader = Db | Snapshot | ReadonlyDb;

/** The key of a number. */
export function keyOf(i: number): string {
  return `key ${String(i).padStart(6, "0")}`;
}

/** The value of a version of a key. */
export function valueOf(i: number, version: number): string {
  const length = VALUE_MIN + (i * 7 + version * 13) % VALUE_SPREAD;
  return `${i} ${version} `.padEnd(length, "value ");
}

/** The version that a value says, after a check of all of it. */
export function versionOf(i: number, value: Uint8Array | undefined): number {
  if (value === undefined) return 0;
  const text = new TextDecoder().decode(value);
  const version = Number(text.split(" ")[1]);
  assertEquals(text, valueOf(i, version), `the value of key ${i}`);
  return version;
}

/** Writes to a database and to its model. */
export class Workload {
  /** Versions by key. */
  readonly versions: Int32Array = new Int32Array(KEYS);
  /** How many reads were compared. */
  checks = 0;
  private readonly random: Random;
  private lastVersion = 0;

  constructor(random: Random) {
    this.random = random;
  }

  /** Bytes of all keys and values. */
  get liveBytes(): number {
    let bytes = 0;
    this.versions.forEach((version, i) => {
      if (version > 0) {
        bytes += keyOf(i).length +
          VALUE_MIN + (i * 7 + version * 13) % VALUE_SPREAD;
      }
    });
    return bytes;
  }

  /** A value for every key. */
  async fill(db: Db): Promise<void> {
    for (let i = 0; i < KEYS; i += 200) {
      const batch = db.batch();
      for (let j = i; j < Math.min(KEYS, i + 200); j++) this.put(batch, j);
      await db.write(batch);
    }
  }

  private put(
    target: { put(key: string, value: string): unknown },
    i: number,
  ): unknown {
    this.versions[i] = ++this.lastVersion;
    return target.put(keyOf(i), valueOf(i, this.versions[i]));
  }

  /** Some writes, awaited together. */
  async write(db: Db, count: number): Promise<void> {
    const { random } = this;
    const writes: unknown[] = [];
    for (let n = 0; n < count; n++) {
      const i = random.below(KEYS);
      const draw = random.below(100);
      if (draw < 80) writes.push(this.put(db, i));
      else if (draw < 93) {
        this.versions[i] = 0;
        writes.push(db.delete(keyOf(i)));
      } else if (draw < 94) {
        const end = Math.min(KEYS, i + 1 + random.below(RANGE_MAX));
        this.versions.fill(0, i, end);
        writes.push(db.deleteRange(keyOf(i), keyOf(end)));
      } else {
        const batch = db.batch();
        for (let j = 0; j < 8; j++) this.put(batch, random.below(KEYS));
        writes.push(db.write(batch));
      }
    }
    await Promise.all(writes);
  }

  /** Compares lookups and a scan either way with what should be there. */
  read(reader: Reader, versions: Int32Array, count: number): void {
    const { random } = this;
    for (let n = 0; n < count; n++) {
      const i = random.below(KEYS);
      assertEquals(versionOf(i, reader.get(keyOf(i))), versions[i], keyOf(i));
    }
    const start = random.below(KEYS);
    const end = Math.min(KEYS, start + 200);
    const reverse = random.chance(50);
    const expected: string[] = [];
    for (let i = start; i < end; i++) {
      if (versions[i] > 0) expected.push(valueOf(i, versions[i]));
    }
    if (reverse) expected.reverse();
    const decoder = new TextDecoder();
    const range = { gte: keyOf(start), lt: keyOf(end), reverse };
    const found = [...reader.scan(range).values()];
    assertEquals(found.map((value) => decoder.decode(value)), expected);
    this.checks += count + 1;
  }

  /** Compares everything. */
  readAll(reader: Reader): void {
    let i = 0;
    for (const [key, value] of reader.scan()) {
      while (i < KEYS && this.versions[i] === 0) i++;
      assert(i < KEYS, "a row too many");
      assertEquals(new TextDecoder().decode(key), keyOf(i));
      assertEquals(versionOf(i, value), this.versions[i], keyOf(i));
      i++;
    }
    const rest = this.versions.subarray(i);
    assert(rest.every((version) => version === 0), "a row too few");
    this.checks++;
  }
}
