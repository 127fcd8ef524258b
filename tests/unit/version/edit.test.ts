/** Edits: whatever they say comes back; what is no edit is seen. */
import { test } from "node:test";
import { FOOTER_LENGTH } from "../../../lib/sstable/format.ts";
import {
  type AddedTable,
  decodeEdit,
  type Edit,
  encodeEdit,
} from "../../../lib/version/edit.ts";
import { assertEquals, assertGreater } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { toBytes } from "../support/entries.ts";
import { longestKey, randomKey } from "../support/keys.ts";

/** A whole number of any magnitude up to 2^48. */
function randomNumber(random: Random): number {
  return random.below(2 ** 24) * 2 ** random.below(25);
}

function randomTable(random: Random): AddedTable {
  const unbounded = random.chance(20);
  const key = random.chance(10) ? longestKey : randomKey;
  const [smallest, largest] = [key(random), key(random)].sort();
  const entries = randomNumber(random);
  const newest = randomNumber(random);
  return {
    level: random.below(8),
    table: {
      number: randomNumber(random),
      size: FOOTER_LENGTH + randomNumber(random),
      entries,
      tombstones: Math.min(entries, randomNumber(random)),
      olderVersions: Math.min(entries, randomNumber(random)),
      rangeTombstones: 1 + randomNumber(random),
      oldest: Math.min(newest, randomNumber(random)),
      newest,
      created: randomNumber(random),
      smallest: toBytes(smallest),
      largest: toBytes(unbounded ? "" : largest),
      unbounded,
    },
  };
}

function several<T>(random: Random, make: (random: Random) => T): T[] {
  const count = random.chance(50) ? 0 : random.below(6);
  return Array.from({ length: count }, () => make(random));
}

function randomEdit(random: Random): Edit {
  return {
    ...random.chance(50) ? { nextFileNumber: randomNumber(random) } : {},
    ...random.chance(50) ? { lastSequence: randomNumber(random) } : {},
    ...random.chance(50) ? { flushedSequence: randomNumber(random) } : {},
    addTables: several(random, randomTable),
    removeTables: several(random, randomNumber),
    addLogs: several(random, (r) => ({
      number: randomNumber(r),
      syncedLength: randomNumber(r),
    })),
    sealLogs: several(random, (r) => ({
      number: randomNumber(r),
      length: randomNumber(r),
      lastSequence: randomNumber(r),
    })),
    removeLogs: several(random, randomNumber),
  };
}

const NOTHING: Edit = {
  addTables: [],
  removeTables: [],
  addLogs: [],
  sealLogs: [],
  removeLogs: [],
};

test("random edits come back", LONG, () => {
  for (let seed = 1; seed <= 500; seed++) {
    const edit = randomEdit(new Random(seed));
    assertEquals(decodeEdit(encodeEdit(edit)), edit, `seed ${seed}`);
  }
});

test("an edit that says nothing", () => {
  assertEquals(encodeEdit({}).length, 0);
  assertEquals(decodeEdit(new Uint8Array(0)), NOTHING);
});

test("0 is a number, not nothing", () => {
  const edit = {
    ...NOTHING,
    nextFileNumber: 0,
    lastSequence: 0,
    flushedSequence: 0,
  };
  assertEquals(decodeEdit(encodeEdit(edit)), edit);
});

test("an edit cut within a field is none", LONG, () => {
  let refused = 0;
  for (let seed = 1; seed <= 50; seed++) {
    const edit = randomEdit(new Random(seed));
    const bytes = encodeEdit(edit);
    for (let length = 0; length < Math.min(bytes.length, 400); length++) {
      const cut = decodeEdit(bytes.subarray(0, length));
      if (cut === undefined) {
        refused++;
        continue;
      }
      // Cut between two fields: what there is reads as what was written.
      assertEquals(encodeEdit(cut), bytes.slice(0, length), `seed ${seed}`);
    }
  }
  assertGreater(refused, 1000);
});

test("an unknown field is none: a release to come wrote it", () => {
  const known = encodeEdit({ lastSequence: 5 });
  for (const tag of [0, 9, 10, 127, 255]) {
    const bytes = new Uint8Array(known.length + 2);
    bytes.set(known);
    bytes[known.length] = tag;
    assertEquals(decodeEdit(bytes), undefined, `tag ${tag}`);
  }
});

test("the bytes read may change afterwards: bounds are copies", () => {
  const edit = { ...NOTHING, addTables: [randomTable(new Random(1))] };
  const bytes = encodeEdit(edit);
  const decoded = decodeEdit(bytes);
  bytes.fill(0);
  assertEquals(decoded, edit);
});
