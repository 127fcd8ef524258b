/**
 * What a database should hold: a sorted map of keys, written as plainly as
 * can be. Keys are strings of characters below 256, one for each byte, so
 * that the order of strings is the order of bytes.
 *
 * @module
 */

/** A row of the model: key characters and value bytes. */
export type ModelRow = [key: string, value: Uint8Array];

/** Bounds as key characters. */
export interface ModelRange {
  gt?: string;
  gte?: string;
  lt?: string;
  lte?: string;
  prefix?: string;
}

/** Key characters as bytes. */
export function toBytes(key: string): Uint8Array {
  return Uint8Array.from(key, (character) => character.charCodeAt(0));
}

/** Bytes as key characters. */
export function fromBytes(key: Uint8Array): string {
  return String.fromCharCode(...key);
}

/** Bounds as bytes. */
export function toByteRange(
  range: ModelRange,
): { [name in keyof ModelRange]: Uint8Array } {
  return Object.fromEntries(
    Object.entries(range).map(([name, key]) => [name, toBytes(key)]),
  );
}

/** Whether a range holds a key. */
export function holds(range: ModelRange, key: string): boolean {
  return !(range.gt !== undefined && key <= range.gt) &&
    !(range.gte !== undefined && key < range.gte) &&
    !(range.lt !== undefined && key >= range.lt) &&
    !(range.lte !== undefined && key > range.lte) &&
    !(range.prefix !== undefined && !key.startsWith(range.prefix));
}

/** The sorted map. */
export class Model {
  readonly #values: Map<string, Uint8Array>;

  constructor(values: Map<string, Uint8Array> = new Map()) {
    this.#values = values;
  }

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  put(key: string, value: Uint8Array): void {
    this.#values.set(key, value);
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  clear(range: ModelRange): void {
    for (const key of this.#values.keys()) {
      if (holds(range, key)) this.#values.delete(key);
    }
  }

  /** The rows of a scan. */
  rows(range: ModelRange, reverse: boolean, limit: number): ModelRow[] {
    const found = [...this.#values]
      .filter(([key]) => holds(range, key))
      .sort(([a], [b]) => a < b ? -1 : 1);
    if (reverse) found.reverse();
    return limit === Infinity ? found : found.slice(0, limit);
  }

  /** The model as of now. Values are never changed in place, so they are shared. */
  copy(): Model {
    return new Model(new Map(this.#values));
  }
}
