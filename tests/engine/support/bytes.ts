/**
 * Keys, values and rows as text, so that tests read as tables.
 *
 * @module
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A row of a scan. */
export type Row = [Uint8Array, Uint8Array];

/** The UTF-8 bytes of a text. */
export function bytes(text: string): Uint8Array {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes; `undefined` stays `undefined`. */
export function text(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : decoder.decode(value);
}

/** All rows of a scan as pairs of texts. */
export function rows(scan: Iterable<Row>): [string, string][] {
  return Array.from(
    scan,
    ([key, value]) => [decoder.decode(key), decoder.decode(value)],
  );
}

/** All keys of a scan as texts. */
export function keys(scan: { keys(): Iterable<Uint8Array> }): string[] {
  return Array.from(scan.keys(), (key) => decoder.decode(key));
}

/** `key_0007` and the like: a prefix and a number of fixed width. */
export function numbered(prefix: string, i: number, digits = 4): string {
  return `${prefix}_${String(i).padStart(digits, "0")}`;
}

/** A value of `length` bytes that differs for each `seed`. */
export function filled(length: number, seed = 1): Uint8Array {
  const value = new Uint8Array(length);
  for (let i = 0; i < length; i++) value[i] = (i * 31 + seed * 17) & 0xff;
  return value;
}
