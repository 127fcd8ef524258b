/**
 * What a database should hold: a sorted map of keys as text, written as
 * plainly as can be.
 *
 * @module
 */
import type { TextRange } from "./key_text.ts";

/** A row of the model: key characters and value bytes. */
export type ModelRow = [key: string, value: Uint8Array];

/** Whether a range holds a key. */
export function holds(range: TextRange, key: string): boolean {
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

  clear(range: TextRange): void {
    for (const key of this.#values.keys()) {
      if (holds(range, key)) this.#values.delete(key);
    }
  }

  /** The rows of a scan. */
  rows(range: TextRange, reverse: boolean, limit: number): ModelRow[] {
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
