/**
 * Tables: footer, properties, index, filter, range tombstones and data blocks,
 * read as lookups and cursors do.
 *
 * @module
 */
import { Found } from "../../../lib/cursor.ts";
import { getU32, putU32 } from "../../../lib/encoding/fixed.ts";
import { hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import type { Fragment } from "../../../lib/memtable/range_tombstones.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import {
  decodeFooter,
  encodeFooter,
  FOOTER_LENGTH,
  type Handle,
  TABLE_VERSION_COMPRESSED,
  TABLE_VERSION_MIN,
} from "../../../lib/sstable/format.ts";
import { Table } from "../../../lib/sstable/table.ts";
import { assert, assertEquals } from "../../assert.ts";
import type { Random } from "../../engine/support/random.ts";
import {
  compareEntries,
  type Entry,
  entryAt,
  toBytes,
} from "../../unit/support/entries.ts";
import {
  answerOf,
  type MadeTable,
  makeTable,
  newContext,
  randomEntries,
  type Settings,
  tablePath,
} from "../../unit/support/tables.ts";
import { mutated, randomBytes } from "../support/mutate.ts";
import { sealTable } from "../support/seals.ts";
import { putTogether, takeApart } from "../support/table_parts.ts";
import { decode, type Outcome, type Target } from "../support/target.ts";

const NUMBER = 7;
/** Where a footer has its version. */
const VERSION_AT = 52;
const NOW = 2 ** 48 - 1;

function someKey(random: Random): string {
  let key = random.pick(["", "k", "key"]);
  for (let i = random.below(4); i > 0; i--) {
    key += random.pick(["\0", "a", "b", "\xff"]);
  }
  return key;
}

function someFragments(random: Random): Fragment[] {
  const bounds = [...new Set(Array.from({ length: 6 }, () => someKey(random)))]
    .filter((key) => key !== "").sort();
  const fragments: Fragment[] = [];
  for (let i = 0; i + 1 < bounds.length; i += 1 + random.below(2)) {
    const isLast = i + 2 >= bounds.length;
    const sequences = [1 + random.below(500), 600 + random.below(500)];
    fragments.push({
      start: toBytes(bounds[i]),
      end: toBytes(isLast && random.chance(40) ? "" : bounds[i + 1]),
      sequences: sequences.slice(random.below(2)),
    });
  }
  return fragments;
}

function someTable(random: Random): MadeTable {
  const fragments = random.chance(50) ? someFragments(random) : [];
  const count = fragments.length > 0 ? random.below(40) : 1 + random.below(60);
  const entries = randomEntries(random, count, someKey);
  const settings: Settings = {
    bloomBitsPerKey: random.pick([0, 1, 10]),
    blockSize: random.pick([256, 1024]),
    compression: random.pick(["none", "zstd"]),
  };
  return makeTable(entries, fragments, settings, NUMBER);
}

/** One part of a table changed, the others as they were. */
function withChangedPart(
  random: Random,
  bytes: Uint8Array,
  donor: Uint8Array,
): Uint8Array {
  const parts = takeApart(bytes, NUMBER);
  const others = takeApart(donor, NUMBER);
  const change = (own: Uint8Array, other: Uint8Array) =>
    random.chance(10) ? other : mutated(random, own, other);
  switch (random.below(6)) {
    case 0:
      parts.filter = change(parts.filter, others.filter);
      break;
    case 1:
      parts.ranges = change(parts.ranges, others.ranges);
      break;
    case 2:
      parts.properties = change(parts.properties, others.properties);
      break;
    case 3: {
      const { index: place } = footerOf(bytes);
      const index = bytes.slice(place.offset, place.offset + place.length);
      parts.index = change(index, others.blocks[0]?.content ?? index);
      break;
    }
    default: {
      if (parts.blocks.length === 0) break;
      const block = random.pick(parts.blocks);
      block.content = change(
        block.content,
        random.pick([...others.blocks, block]).content,
      );
    }
  }
  return putTogether(parts);
}

function footerOf(bytes: Uint8Array) {
  const tail = bytes.subarray(bytes.length - FOOTER_LENGTH);
  return decodeFooter(tail, "", NUMBER, bytes.length);
}

/** The places of the data blocks of a whole table. */
function dataHandles(bytes: Uint8Array): Handle[] {
  let offset = 0;
  return takeApart(bytes, NUMBER).blocks.map(({ content: { length } }) => {
    const handle = { offset, length };
    offset += length + 5;
    return handle;
  });
}

/** What can be read of a table: each answer, or that it was refused. */
interface Reading {
  readonly fragments: Outcome<readonly Fragment[]>;
  readonly forwards: Outcome<Entry[]>;
  readonly backwards: Outcome<Entry[]>;
  readonly gets: Outcome<unknown>[];
}

function walk(table: Table, size: number, isForward: boolean): Entry[] {
  const cursor = new TableCursor(table, !isForward);
  const entries: Entry[] = [];
  if (isForward) cursor.seekToFirst();
  else cursor.seekToLast();
  while (cursor.valid) {
    entries.push(entryAt(cursor));
    assert(entries.length <= size, "more entries than bytes");
    if (isForward) cursor.next();
    else cursor.previous();
  }
  return entries;
}

function readAll(made: MadeTable, keys: readonly string[]): Reading {
  const { size } = made.meta;
  const context = newContext(made.files, 0);
  const table = new Table(made.meta, made.path, context);
  const gets = keys.map((key) =>
    decode(size, () => {
      const found = new Found();
      const bytes = toBytes(key);
      hashKey(bytes, 0, bytes.length);
      const { line, bits } = keyHash;
      table.get(bytes, bytes.length, line, bits, NOW, found);
      return answerOf(found);
    })
  );
  const reading = {
    fragments: decode(size, () => table.fragments()),
    forwards: decode(size * size, () => walk(table, size * size, true)),
    backwards: decode(size * size, () => walk(table, size * size, false)),
    gets,
  };
  table.close();
  return reading;
}

/** What was read of a file with changed bytes and checksums that match. */
function checkSound(
  { fragments, forwards, backwards }: Reading,
  made: MadeTable,
) {
  const { meta } = made;
  if ("value" in fragments) {
    assertEquals(fragments.value.length, meta.rangeTombstones);
    for (const { sequences } of fragments.value) {
      sequences.forEach((sequence, i) => {
        assert(sequence >= meta.oldest && sequence <= meta.newest, "sequence");
        assert(i === 0 || sequences[i - 1] < sequence, "order of sequences");
      });
    }
  }
  if ("value" in forwards && "value" in backwards) {
    assertEquals(backwards.value, forwards.value.toReversed());
    if (meta.entries > 0) assert(forwards.value.length > 0, "no entries");
  }
}

/** What was read of a file with changed bytes and checksums as they were. */
function checkUnsealed(reading: Reading, whole: Reading): void {
  const isRight = <T>(actual: Outcome<T>, expected: Outcome<T>) => {
    if ("value" in actual) assertEquals(actual, expected);
  };
  isRight(reading.fragments, whole.fragments);
  isRight(reading.forwards, whole.forwards);
  isRight(reading.backwards, whole.backwards);
  reading.gets.forEach((answer, i) => isRight(answer, whole.gets[i]));
}

function footers(random: Random, valid: Uint8Array): void {
  const bytes = valid.slice(valid.length - FOOTER_LENGTH);
  let changed = mutated(random, bytes);
  if (random.chance(80)) changed = sealTable(changed, NUMBER, []);
  const outcome = decode(
    changed.length,
    () => decodeFooter(changed, "", NUMBER, valid.length),
  );
  if ("refused" in outcome) return;
  const again = encodeFooter(outcome.value);
  const version = getU32(changed, VERSION_AT);
  assert(version >= TABLE_VERSION_MIN && version <= TABLE_VERSION_COMPRESSED);
  putU32(again, VERSION_AT, version); // An older one is read, too.
  const sealed = sealTable(again, NUMBER, []);
  assertEquals(sealed, changed.slice(0, FOOTER_LENGTH));
}

/** Tables. */
export const table: Target = {
  name: "table",
  run(random) {
    const made = someTable(random);
    const valid = made.files.readFile(made.path);
    const donor = someTable(random).files.readFile(tablePath(NUMBER));
    footers(random, valid);
    const keys = Array.from({ length: 6 }, () => someKey(random));
    const whole = readAll(made, keys);
    assert("value" in whole.forwards && "value" in whole.backwards);
    assertEquals(
      whole.forwards.value,
      whole.forwards.value.toSorted(compareEntries),
    );
    const way = random.below(4);
    let bytes: Uint8Array;
    if (way === 0) bytes = mutated(random, valid, donor);
    else if (way === 1) {
      bytes = sealTable(
        mutated(random, valid, donor),
        NUMBER,
        dataHandles(valid),
      );
    } else bytes = withChangedPart(random, valid, donor);
    if (random.chance(2)) bytes = randomBytes(random, random.below(150));
    made.files.writeFile(made.path, bytes);
    // The manifest says the right length, so that what lies behind is reached.
    const meta = { ...made.meta, size: bytes.length };
    const changed = { ...made, meta };
    const reading = readAll(changed, keys);
    checkSound(reading, changed);
    if (way === 0) checkUnsealed(reading, whole);
  },
};
