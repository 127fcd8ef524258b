/**
 * What the writer and the readers of the stress test agree on.
 *
 * Keys come in groups. A round writes or removes a whole group, in one batch.
 * Each value says its group, its place and its round, and the rest of its
 * bytes follow from these. So a reader can tell from what it finds whether a
 * batch is torn, and from two numbers in shared memory (the last round that
 * was acknowledged before it looked, the last one that was begun when it was
 * done) whether it is too old or made up.
 *
 * @module
 */

/** Groups of keys. */
export const GROUPS = 24;
/** Keys of a group. */
export const KEYS = 8;
/** Bytes of a value before the filling. */
const HEADER = 12;

/** What a reader thread is given. */
export interface ReaderTask {
  /** Of `db.share()`. */
  readonly handle: unknown;
  /** See {@linkcode Progress}. */
  readonly progress: SharedArrayBuffer;
  readonly seed: number;
}

/** What a reader thread tells in the end. */
export interface ReaderReport {
  readonly reads: Record<string, number>;
  readonly problems: readonly string[];
}

/** The rounds of each group, and whether to stop: in shared memory. */
export class Progress {
  readonly memory: SharedArrayBuffer;
  private readonly words: Int32Array;

  constructor(memory = new SharedArrayBuffer(4 * (2 * GROUPS + 1))) {
    this.memory = memory;
    this.words = new Int32Array(memory);
  }

  /** The last round of a group that was begun. */
  begun(group: number): number {
    return Atomics.load(this.words, group);
  }

  /** The last round of a group that was acknowledged. */
  done(group: number): number {
    return Atomics.load(this.words, GROUPS + group);
  }

  begin(group: number, round: number): void {
    Atomics.store(this.words, group, round);
  }

  finish(group: number, round: number): void {
    Atomics.store(this.words, GROUPS + group, round);
  }

  get isOver(): boolean {
    return Atomics.load(this.words, 2 * GROUPS) !== 0;
  }

  end(): void {
    Atomics.store(this.words, 2 * GROUPS, 1);
  }
}

/** What a round does to its group. */
export function kindOf(round: number): "write" | "range" | "points" {
  if (round % 7 === 5) return "range";
  return round % 7 === 6 ? "points" : "write";
}

/** The prefix of a group's keys. */
export function prefixOf(group: number): string {
  return `group/${String(group).padStart(3, "0")}/`;
}

/** A key. */
export function keyOf(group: number, place: number): string {
  return `${prefixOf(group)}${place}`;
}

/** The value that a round gives to a key. Now and then it is larger than the write buffer of the test. */
export function valueOf(
  group: number,
  place: number,
  round: number,
): Uint8Array {
  const isLarge = place === 3 && (round + group) % 211 === 1;
  const length = isLarge ? 40_000 : HEADER + (round * 13 + place * 29) % 90;
  const value = new Uint8Array(length);
  const view = new DataView(value.buffer);
  view.setUint32(0, group);
  view.setUint32(4, place);
  view.setUint32(8, round);
  for (let i = HEADER; i < length; i++) value[i] = round * 31 + place * 7 + i;
  return value;
}

/** The round that a value says; -1 if it is no value of that key. */
export function roundOf(
  value: Uint8Array,
  group: number,
  place: number,
): number {
  if (value.length < HEADER) return -1;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const round = view.getUint32(8);
  const expected = valueOf(group, place, round);
  const isSame = expected.length === value.length &&
    expected.every((byte, i) => byte === value[i]);
  return isSame ? round : -1;
}

/** Whether a group may be absent after a round from `from` to `to`. */
export function mayBeAbsent(from: number, to: number): boolean {
  for (let round = from; round <= to; round++) {
    if (round === 0 || kindOf(round) !== "write") return true;
  }
  return false;
}
