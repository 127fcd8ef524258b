/**
 * Memtables, filled with plain data.
 *
 * @module
 */
import type { Found } from "../../../lib/cursor.ts";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import type { ReadableMemtable } from "../../../lib/memtable/readable.ts";
import { type Entry, toBytes } from "./entries.ts";
import type { Layer } from "./layers.ts";

/** Adds an entry. */
export function addTo(
  memtable: Memtable,
  { key, sequence, kind, value }: Entry,
): void {
  const bytes = toBytes(key);
  memtable.add(sequence, kind, bytes, bytes.length, value, 0, value.length);
}

/** A memtable to which a layer was written, in the order of its sequences. */
export function memtableOf({ entries, ranges }: Layer): Memtable {
  const memtable = new Memtable(1, new ArenaPool(64 * 1024, 1), 0);
  const adds: [sequence: number, add: () => void][] = [
    ...entries.map((entry): [number, () => void] => [
      entry.sequence,
      () => addTo(memtable, entry),
    ]),
    ...ranges.map(({ start, end, sequence }): [number, () => void] => [
      sequence,
      () => memtable.addRange(sequence, toBytes(start), toBytes(end)),
    ]),
  ];
  for (const [, add] of adds.sort(([a], [b]) => a - b)) add();
  return memtable;
}

/** Looks a key up, with its hash. */
export function getFrom(
  from: { get: ReadableMemtable["get"] },
  key: Uint8Array,
  keyLength: number,
  sequence: number,
  found: Found,
): void {
  hashKey(key, 0, keyLength);
  from.get(key, keyLength, keyHash.bits, sequence, found);
}
