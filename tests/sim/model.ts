/**
 * What a database should hold: rows sorted by key, as plainly as can be, and a
 * fingerprint of them that is kept up to date.
 *
 * Keys are strings of characters below 256, one for each byte, so that the
 * order of strings is the order of bytes.
 *
 * @module
 */

/** A row. Rows are never changed in place, so copies of a model share them. */
export interface Row {
  readonly key: string;
  readonly value: Uint8Array;
  readonly print: Print;
}

/** A fingerprint: of rows together it is the sum, in any order. */
export interface Print {
  readonly a: number;
  readonly b: number;
}

/** One change, as a write makes it. */
export type Change =
  | { readonly type: "put"; readonly row: Row }
  | { readonly type: "delete"; readonly key: string }
  | {
    readonly type: "deleteRange";
    readonly start: string;
    /** Absent: no end. */
    readonly end: string | undefined;
  };

/** Bounds as key characters. */
export interface Range {
  gt?: string;
  gte?: string;
  lt?: string;
  lte?: string;
  prefix?: string;
}

/** Key characters as bytes. */
export function toBytes(key: string): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let i = 0; i < key.length; i++) bytes[i] = key.charCodeAt(i);
  return bytes;
}

/** Bytes as key characters. */
export function fromBytes(bytes: Uint8Array): string {
  // `apply` takes it as it is; a spread would step through it, which takes longer.
  return String.fromCharCode.apply(null, bytes as unknown as number[]);
}

/** Bounds as bytes. */
export function toByteRange(
  range: Range,
): { [name in keyof Range]: Uint8Array } {
  return Object.fromEntries(
    Object.entries(range).map(([name, key]) => [name, toBytes(key)]),
  );
}

/** A row, with its fingerprint. */
export function rowOf(key: string, value: Uint8Array): Row {
  let a = 0x811c9dc5;
  let b = 0x2545f491;
  for (let i = 0; i < key.length; i++) {
    a = Math.imul(a ^ key.charCodeAt(i), 0x01000193);
    b = Math.imul(b, 31) + key.charCodeAt(i) | 0;
  }
  a = Math.imul(a ^ 0x1ff, 0x01000193);
  b = Math.imul(b, 31) + value.length | 0;
  for (let i = 0; i < value.length; i++) {
    a = Math.imul(a ^ value[i], 0x01000193);
    b = Math.imul(b, 31) + value[i] | 0;
  }
  return { key, value, print: { a: a | 0, b: Math.imul(b, 0x85ebca6b) } };
}

/** Whether two arrays hold the same bytes. */
export function areEqual(
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Values of a few bytes in words, for messages. */
export function show(value: Uint8Array | undefined): string {
  if (value === undefined) return "nothing";
  const head = Array.from(value.subarray(0, 8)).join(" ");
  return `${value.length} bytes (${head}${value.length > 8 ? " ..." : ""})`;
}

/** See the head of this file. */
export class Model {
  #rows: Row[];
  #a = 0;
  #b = 0;

  constructor(rows: Row[] = []) {
    this.#rows = rows;
    for (const { print } of rows) this.#count(print, 1);
  }

  /** How many rows there are. */
  get size(): number {
    return this.#rows.length;
  }

  /** All rows, by key. Not to be changed. */
  get all(): readonly Row[] {
    return this.#rows;
  }

  /** The sum of the rows' fingerprints. */
  get print(): Print {
    return { a: this.#a, b: this.#b };
  }

  #count({ a, b }: Print, sign: 1 | -1): void {
    this.#a = this.#a + sign * a | 0;
    this.#b = this.#b + sign * b | 0;
  }

  /** The place of the first row whose key is not below `key`. */
  #place(key: string): number {
    const rows = this.#rows;
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rows[middle].key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The row of a key. */
  get(key: string): Row | undefined {
    const row = this.#rows[this.#place(key)];
    return row?.key === key ? row : undefined;
  }

  /** Makes a change; returns what undoes it, to be applied in reverse order. */
  apply(change: Change): Undo {
    if (change.type === "put") {
      const { row } = change;
      return this.#replace(
        row.key,
        this.#place(row.key),
        this.get(row.key) ? 1 : 0,
        [row],
      );
    }
    if (change.type === "delete") {
      const { key } = change;
      return this.#replace(key, this.#place(key), this.get(key) ? 1 : 0, []);
    }
    const { start, end } = change;
    const from = this.#place(start);
    const to = end === undefined ? this.#rows.length : this.#place(end);
    return this.#replace(start, from, to - from, []);
  }

  #replace(key: string, at: number, count: number, rows: Row[]): Undo {
    const removed = this.#rows.splice(at, count, ...rows);
    for (const { print } of removed) this.#count(print, -1);
    for (const { print } of rows) this.#count(print, 1);
    return { key, added: rows.length, removed };
  }

  /** Undoes the last change. */
  undo({ key, added, removed }: Undo): void {
    this.#replace(key, this.#place(key), added, removed);
  }

  /** The rows of a scan. */
  rows(range: Range, reverse: boolean, limit: number): Row[] {
    const { gt, gte, lt, lte, prefix } = range;
    let from = 0;
    let to = this.#rows.length;
    // The next key behind `key` is `key` with a zero.
    if (gte !== undefined) from = Math.max(from, this.#place(gte));
    if (gt !== undefined) from = Math.max(from, this.#place(gt + "\0"));
    if (lt !== undefined) to = Math.min(to, this.#place(lt));
    if (lte !== undefined) to = Math.min(to, this.#place(lte + "\0"));
    let found = this.#rows.slice(from, Math.max(from, to));
    if (prefix !== undefined) {
      found = found.filter(({ key }) => key.startsWith(prefix));
    }
    if (reverse) found.reverse();
    return limit < found.length ? found.slice(0, limit) : found;
  }

  /** The model as it is now. */
  copy(): Model {
    const copy = new Model();
    copy.#rows = this.#rows.slice();
    copy.#a = this.#a;
    copy.#b = this.#b;
    return copy;
  }
}

/** What undoes one change. */
export interface Undo {
  readonly key: string;
  readonly added: number;
  readonly removed: Row[];
}
