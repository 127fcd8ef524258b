/**
 * Entries as plain data, with keys as text.
 *
 * @module
 */
import { Cursor, type EntryKind, PUT, TOMBSTONE } from "../../../lib/cursor.ts";
import { EMPTY } from "../../../lib/encoding/bytes.ts";
import { assertEquals, fail } from "../../assert.ts";
import { fromBytes, toBytes } from "../../engine/support/key_text.ts";
import type { Random } from "../../engine/support/random.ts";

export { fromBytes, toBytes } from "../../engine/support/key_text.ts";

/** One entry. */
export interface Entry {
  readonly key: string;
  readonly sequence: number;
  readonly kind: EntryKind;
  readonly value: Uint8Array;
}

/** A put; the value is made of a text. */
export function put(key: string, sequence: number, value = ""): Entry {
  return { key, sequence, kind: PUT, value: toBytes(value) };
}

/** A point tombstone. */
export function tombstone(key: string, sequence: number): Entry {
  return { key, sequence, kind: TOMBSTONE, value: EMPTY };
}

/** Negative, zero or positive as `a` belongs before, with or after `b`. */
export function compareEntries(a: Entry, b: Entry): number {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1;
  return b.sequence - a.sequence;
}

/** The entries in the order of cursors. */
export function sorted(entries: readonly Entry[]): Entry[] {
  return [...entries].sort(compareEntries);
}

/** The entry that a cursor stands on, as a copy. */
export function entryAt(cursor: Cursor): Entry {
  return {
    key: fromBytes(cursor.key.subarray(cursor.keyStart, cursor.keyEnd)),
    sequence: cursor.sequence,
    kind: cursor.kind,
    value: cursor.value.slice(cursor.valueStart, cursor.valueEnd),
  };
}

function isSame(a: Entry, b: Entry): boolean {
  return a.key === b.key && a.sequence === b.sequence && a.kind === b.kind &&
    a.value.length === b.value.length &&
    a.value.every((byte, i) => byte === b.value[i]);
}

/** Whether a cursor stands on an entry; without making strings, for long keys. */
function isOn(cursor: Cursor, { key, sequence, kind, value }: Entry): boolean {
  const { keyStart, keyEnd, valueStart, valueEnd } = cursor;
  if (cursor.sequence !== sequence || cursor.kind !== kind) return false;
  if (keyEnd - keyStart !== key.length) return false;
  if (valueEnd - valueStart !== value.length) return false;
  for (let i = 0; i < key.length; i++) {
    if (cursor.key[keyStart + i] !== key.charCodeAt(i)) return false;
  }
  for (let i = 0; i < value.length; i++) {
    if (cursor.value[valueStart + i] !== value[i]) return false;
  }
  return true;
}

/** The cursor must stand on this entry, or nowhere if it is `undefined`. */
export function assertStandsOn(
  cursor: Cursor,
  expected: Entry | undefined,
  message: string,
): void {
  if (!cursor.valid) {
    if (expected === undefined) return;
    fail(`${message}: nowhere, not on ${label(expected)}`);
  }
  if (expected !== undefined && isOn(cursor, expected)) return;
  const actual = entryAt(cursor);
  if (expected === undefined) fail(`${message}: on ${label(actual)}`);
  assertEquals(label(actual), label(expected), message);
  assertEquals(actual, expected, message);
  fail(`${message}: on an entry that is read in two ways`);
}

function label({ key, sequence, kind, value }: Entry): string {
  const shown = key.length > 60 ? `${key.slice(0, 60)}...` : key;
  return `${JSON.stringify(shown)} (${key.length}) @${sequence} ` +
    `kind ${kind}, value of ${value.length}`;
}

/** The entries from the first to the last. */
export function walk(cursor: Cursor): Entry[] {
  const entries: Entry[] = [];
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
    entries.push(entryAt(cursor));
  }
  return entries;
}

/** Both lists must be the same, entry by entry. */
export function assertSameEntries(
  actual: readonly Entry[],
  expected: readonly Entry[],
  message: string,
): void {
  const count = Math.min(actual.length, expected.length);
  for (let i = 0; i < count; i++) {
    if (isSame(actual[i], expected[i])) continue;
    assertEquals(label(actual[i]), label(expected[i]), `${message}, at ${i}`);
    assertEquals(actual[i], expected[i], `${message}, at ${i}`);
  }
  if (actual.length !== expected.length) {
    const next = actual[count] ?? expected[count];
    fail(
      `${message}: ${actual.length} entries, not ${expected.length}; ` +
        `the first one too ${actual.length > count ? "many" : "few"} is ${
          label(next)
        }`,
    );
  }
}

/**
 * A cursor must agree with a sorted list: whole walks both ways, and from
 * each of `probes` a seek, a seekBefore and a random walk of some steps.
 */
export function checkCursor(
  cursor: Cursor,
  expected: readonly Entry[],
  probes: readonly string[],
  random: Random,
  message: string,
): void {
  assertSameEntries(walk(cursor), expected, `${message}: forwards`);
  const back: Entry[] = [];
  for (cursor.seekToLast(); cursor.valid; cursor.previous()) {
    back.push(entryAt(cursor));
  }
  assertSameEntries(back, expected.toReversed(), `${message}: backwards`);
  for (const probe of probes) {
    const key = toBytes(probe);
    const at = countBefore(expected, probe);
    const where = `${message}: from ${JSON.stringify(probe.slice(0, 60))}`;
    cursor.seek(key, key.length);
    assertStandsOn(cursor, expected[at], `${where}, seek`);
    wander(cursor, expected, at, random, `${where}, seek`);
    const stop = random.pick(probes);
    cursor.seek(key, key.length);
    checkRuns(cursor, expected, at, stop, where);
    cursor.seekBefore(key, key.length);
    checkRuns(cursor, expected, at - 1, stop, where);
    assertStandsOn(cursor, expected[at - 1], `${where}, seekBefore`);
    wander(cursor, expected, at - 1, random, `${where}, seekBefore`);
  }
}

/** Runs from entry `at` on: never more than there are, and none only where there is none. */
function checkRuns(
  cursor: Cursor,
  expected: readonly Entry[],
  at: number,
  stop: string,
  message: string,
): void {
  if (!cursor.valid) return;
  const edge = countBefore(expected, stop);
  const key = toBytes(stop);
  for (const backwards of [false, true]) {
    const most = Math.max(0, backwards ? at + 1 - edge : edge - at);
    const length = cursor.run(key, key.length, backwards);
    if (length <= most && (length > 0 || most === 0)) continue;
    const direction = backwards ? "back" : "on";
    fail(`${message}: a run of ${length} ${direction} to ${stop}, not ${most}`);
  }
}

/** Steps both ways, more in one direction than in the other. */
function wander(
  cursor: Cursor,
  expected: readonly Entry[],
  from: number,
  random: Random,
  message: string,
): void {
  const forwards = random.chance(50);
  let at = from;
  for (let step = 0; step < 12 && cursor.valid; step++) {
    const isNext = random.chance(80) ? forwards : !forwards;
    if (isNext) cursor.next();
    else cursor.previous();
    at += isNext ? 1 : -1;
    assertStandsOn(cursor, expected[at], `${message}, step ${step}`);
  }
}

/** How many entries have a key before this one. */
export function countBefore(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle].key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** How many entries a {@linkcode ListCursor} sees at once: they are its blocks. */
const LIST_BLOCK = 8;

/** A cursor over a sorted list: as plain as can be. Its key and value are never where the last ones were. */
export class ListCursor extends Cursor {
  readonly #entries: readonly Entry[];
  #at = -1;
  /** How often it was moved by a seek of any kind. */
  seeks = 0;
  /** How often it was moved by one step. */
  steps = 0;
  /** How often it was asked for a run. */
  runs = 0;
  /** Whether it was closed. */
  isClosed = false;

  constructor(entries: readonly Entry[]) {
    super();
    this.#entries = sorted(entries);
    this.newest = Math.max(0, ...entries.map((entry) => entry.sequence));
    this.isUnique =
      new Set(entries.map((entry) => entry.key)).size === entries.length;
  }

  override seekToFirst(): void {
    this.seeks++;
    this.#stand(0);
  }

  override seekToLast(): void {
    this.seeks++;
    this.#stand(this.#entries.length - 1);
  }

  override seek(key: Uint8Array, length: number): void {
    this.seeks++;
    const bare = fromBytes(key.subarray(0, length));
    this.#stand(countBefore(this.#entries, bare));
  }

  override seekBefore(key: Uint8Array, length: number): void {
    this.seeks++;
    const bare = fromBytes(key.subarray(0, length));
    this.#stand(countBefore(this.#entries, bare) - 1);
  }

  override next(): void {
    this.steps++;
    this.#stand(this.#at + 1);
  }

  override previous(): void {
    this.steps++;
    this.#stand(this.#at - 1);
  }

  override run(stop: Uint8Array, length: number, backwards: boolean): number {
    this.runs++;
    const edge = countBefore(
      this.#entries,
      fromBytes(stop.subarray(0, length)),
    );
    const count = backwards ? this.#at + 1 - edge : edge - this.#at;
    const inBlock = this.#at % LIST_BLOCK;
    const most = backwards ? inBlock + 1 : LIST_BLOCK - inBlock;
    return Math.max(0, Math.min(count, most));
  }

  override close(): void {
    super.close();
    this.isClosed = true;
  }

  #stand(at: number): void {
    if (this.isClosed) throw new Error("moved after it was closed");
    this.#at = at;
    // What the last entry was must not be relied on any more.
    this.key.fill(0xee);
    if (this.value.length > 0) this.value.fill(0xee);
    const entry = this.#entries[at];
    this.valid = entry !== undefined;
    if (entry === undefined) return;
    const pad = this.steps % 3;
    this.key = new Uint8Array(entry.key.length + pad + 2);
    this.key.set(toBytes(entry.key), pad);
    this.keyStart = pad;
    this.keyEnd = pad + entry.key.length;
    this.sequence = entry.sequence;
    this.kind = entry.kind;
    this.value = new Uint8Array(entry.value.length + pad);
    this.value.set(entry.value, pad);
    this.valueStart = pad;
    this.valueEnd = pad + entry.value.length;
  }
}
