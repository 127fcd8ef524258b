/** The table writer: its assertions, its metadata, its care for the file. */
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { EMPTY } from "../../../lib/encoding/bytes.ts";
import type { Fragment } from "../../../lib/memtable/range_tombstones.ts";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { TableWriter } from "../../../lib/sstable/writer.ts";
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertGreaterOrEqual,
  assertLessOrEqual,
  assertThrows,
} from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { LONG } from "../../engine/support/configs.ts";
import { rejectsWith, throwsWith } from "../../engine/support/errors.ts";
import { diskError } from "../../engine/support/memory.ts";
import { Random } from "../../engine/support/random.ts";
import {
  type Entry,
  put,
  sorted,
  toBytes,
  tombstone,
} from "../support/entries.ts";
import { randomKey, smallKey } from "../support/keys.ts";
import { fragmentsOf, randomRange, type Range } from "../support/ranges.ts";
import {
  addEntry,
  makeTable,
  newFiles,
  newWriter,
  openTable,
  randomEntries,
  tablePath,
  writeTable,
} from "../support/tables.ts";

test("entries out of order are refused", () => {
  const cases: [name: string, entries: Entry[]][] = [
    ["keys that fall", [put("b", 1), put("a", 2)]],
    ["a prefix behind what begins with it", [put("ab", 1), put("a", 2)]],
    ["the empty key behind another", [put("a", 1), put("", 2)]],
    ["sequences of a key that rise", [put("a", 1), put("a", 2)]],
    ["an entry twice", [put("a", 1), put("a", 1)]],
    ["a key that comes again", [put("a", 3), put("b", 2), put("a", 1)]],
  ];
  for (const [name, entries] of cases) {
    const writer = newWriter(newFiles(), 1);
    const error = assertThrows(
      () => entries.forEach((entry) => addEntry(writer, entry)),
      VarveError,
      "out of order",
      name,
    );
    assertEquals(error.code, "CORRUPTION");
    writer.abandon();
  }
});

test("fragments that overlap, are out of order or empty are refused", () => {
  const fragment = (start: string, end: string): Fragment => ({
    start: toBytes(start),
    end: toBytes(end),
    sequences: [1],
  });
  const cases: [name: string, fragments: Fragment[]][] = [
    ["overlapping", [fragment("a", "c"), fragment("b", "d")]],
    ["out of order", [fragment("c", "d"), fragment("a", "b")]],
    ["behind one without an end", [fragment("a", ""), fragment("b", "c")]],
    ["the same twice", [fragment("a", "b"), fragment("a", "b")]],
    ["empty", [fragment("a", "a")]],
    ["turned around", [fragment("b", "a")]],
  ];
  for (const [name, fragments] of cases) {
    const writer = newWriter(newFiles(), 1);
    addEntry(writer, put("k", 1));
    assertThrows(() => writer.finish(fragments), VarveError, "overlap", name);
    writer.abandon();
  }
  const touching = [fragment("a", "b"), fragment("b", "c"), fragment("c", "")];
  assertEquals(makeTable([], touching).meta.rangeTombstones, 3);
});

test("the metadata says what is in the table", LONG, () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const key = random.chance(50) ? smallKey : randomKey;
    const entries = random.chance(10)
      ? []
      : randomEntries(random, 1 + random.below(40), key);
    const ranges: Range[] = [];
    for (
      let i = random.below(5);
      i > 0 || entries.length + ranges.length === 0;
      i--
    ) {
      const sequence = 1 + random.below(2000);
      ranges.push(randomRange(random, () => key(random), sequence));
    }
    const fragments = fragmentsOf(ranges);
    const { meta, files, path } = makeTable(entries, fragments, {
      created: 77,
    });
    const message = `seed ${seed}`;
    const sequences = [
      ...entries.map((entry) => entry.sequence),
      ...ranges.map((range) => range.sequence),
    ];
    const firsts = [
      ...entries.map((entry) => entry.key),
      ...ranges.map((range) => range.start),
    ].sort();
    const lasts = [
      ...entries.map((entry) => entry.key),
      ...ranges.map((range) => range.end),
    ].sort();
    const unbounded = ranges.some((range) => range.end === "");
    const keys = new Set(entries.map((entry) => entry.key));
    assertEquals(meta, {
      number: 7,
      size: files.stat(path)?.size ?? 0,
      entries: entries.length,
      tombstones: entries.filter((entry) => entry.kind === 1).length,
      olderVersions: entries.length - keys.size,
      rangeTombstones: fragments.length,
      oldest: Math.min(...sequences),
      newest: Math.max(...sequences),
      created: 77,
      smallest: toBytes(firsts[0]),
      largest: unbounded ? EMPTY : toBytes(lasts[lasts.length - 1]),
      unbounded,
    }, message);
    openTable({ files, path, meta }).verify();
  }
});

test("nothing to write leaves no file", () => {
  const files = newFiles();
  assertEquals(writeTable(files, 1, []), undefined);
  assertEquals(files.list("/db"), []);
});

test("abandon() removes the file, whatever was written", () => {
  const files = newFiles();
  const writer = newWriter(files, 1);
  addEntry(writer, { ...put("k", 1), value: filled(500_000) });
  addEntry(writer, put("l", 2));
  writer.abandon();
  assertEquals(files.list("/db"), []);
});

test("a table never takes the place of a file that is there", () => {
  const files = newFiles();
  files.writeFile(tablePath(1), filled(10));
  throwsWith("IO", () => newWriter(files, 1));
  assertEquals(files.readFile(tablePath(1)), filled(10));
});

test("a finished table is durable; its entry in the directory is the caller's to sync", () => {
  const files = newFiles();
  const entries = Array.from(
    { length: 3000 },
    (_, i) => put(`k${String(i).padStart(5, "0")}`, i + 1, "x".repeat(100)),
  );
  const meta = writeTable(files, 1, entries);
  assertExists(meta);
  const written = files.readFile(tablePath(1));
  files.syncDirectory("/db");
  assertEquals(files.afterPowerLoss().readFile(tablePath(1)), written);
});

const VALUE = filled(100_000);

/** Adds entries of a million bytes together. */
function addMegabyte(writer: TableWriter, from: number): void {
  for (let i = from; i < from + 10; i++) {
    addEntry(writer, { ...put(`k${i}`, i), value: VALUE });
  }
}

/** Files whose syncs end when `ends` are called, in order. */
function newSlowFiles(): { files: MemoryFileSystem; ends: (() => void)[] } {
  const files = newFiles();
  const ends: (() => void)[] = [];
  files.syncDelay = () => new Promise((resolve) => ends.push(resolve));
  return { files, ends };
}

/** Lets promises settle. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

test("what is written is synced while the table grows, one sync at a time", async () => {
  const { files, ends } = newSlowFiles();
  const writer = newWriter(files, 1);
  writer.syncIfMuch();
  assertEquals(ends.length, 0, "nothing was written yet");
  addMegabyte(writer, 100);
  addMegabyte(writer, 110);
  writer.syncIfMuch();
  const written = files.readFile(tablePath(1)).length;
  assertGreater(written, 1_500_000);
  addMegabyte(writer, 120);
  addMegabyte(writer, 130);
  writer.syncIfMuch();
  assertEquals(ends.length, 1, "one is under way");
  ends[0]();
  await settled();
  files.syncDirectory("/db");
  const durable = files.afterPowerLoss().readFile(tablePath(1)).length;
  assertEquals(durable, written);
  writer.syncIfMuch();
  assertEquals(ends.length, 2);
  writer.abandon();
});

test("a table is durable when settle() has ended, which waits for the sync under way and syncs the rest", async () => {
  const { files, ends } = newSlowFiles();
  const writer = newWriter(files, 1);
  addMegabyte(writer, 100);
  addMegabyte(writer, 110);
  writer.syncIfMuch();
  addMegabyte(writer, 120);
  addMegabyte(writer, 130);
  assertExists(writer.finish([]));
  const settling = writer.settle();
  const { value: waiting } = settling.next();
  assertExists(waiting);
  assertEquals(settling.next().value, waiting, "it has not ended");
  ends[0]();
  await waiting;
  assert(settling.next().done);
  assertEquals(ends.length, 1);
  files.syncDirectory("/db");
  const written = files.readFile(tablePath(1));
  assertEquals(files.afterPowerLoss().readFile(tablePath(1)), written);
});

test("a table is lost of which one sync failed, though all later ones would succeed", async () => {
  const files = newFiles();
  const writer = newWriter(files, 1);
  let syncs = 0;
  files.onOperation = (operation) => {
    if (operation === "sync" && syncs++ === 0) throw diskError();
  };
  addMegabyte(writer, 100);
  addMegabyte(writer, 110);
  writer.syncIfMuch();
  await settled();
  assertEquals(syncs, 1);
  assertExists(writer.finish([]));
  const settling = writer.settle();
  await rejectsWith("IO", async () => {
    for (const sync of settling) await sync;
  });
  writer.abandon();
  assertEquals(files.list("/db"), []);
});

test("data is written in large pieces", () => {
  const files = newFiles();
  const entries = Array.from(
    { length: 20_000 },
    (_, i) => put(`k${String(i).padStart(5, "0")}`, i + 1, "x".repeat(100)),
  );
  files.resetCounts();
  const meta = writeTable(files, 1, entries, [], { blockSize: 4096 });
  assertExists(meta);
  assertLessOrEqual(files.counts.write, Math.ceil(meta.size / 200_000) + 2);
});

test("blocks come close to the size asked for", LONG, () => {
  for (const blockSize of [256, 1024, 4096, 16 * 1024]) {
    const entries = Array.from(
      { length: 5000 },
      (_, i) =>
        put(
          `some/shared/prefix/k${String(i).padStart(5, "0")}`,
          i + 1,
          "value",
        ),
    );
    const made = makeTable(entries, [], { blockSize });
    const table = openTable(made);
    assertGreater(table.blockCount, 4);
    for (let i = 0; i + 1 < table.blockCount; i++) {
      const { length } = table.handle(i);
      assertLessOrEqual(length, blockSize + 40, `block ${i}`);
      assertGreaterOrEqual(length, blockSize * 0.6, `block ${i}`);
    }
  }
});

test("a block of keys that share nearly all of what they are gathered without bound", () => {
  const shared = "p".repeat(60_000);
  const entries = Array.from(
    { length: 700 },
    (_, i) => put(`${shared}${String(i).padStart(4, "0")}`, i + 1, "v"),
  );
  const made = makeTable(entries, [], { blockSize: 1 << 20 });
  const table = openTable(made);
  // 42 MB of keys, of which 14 KB are not the same.
  assertEquals(table.blockCount, 3);
  assertLessOrEqual(made.meta.size, 6 * 65_536);
});

test("separators in the index are short", () => {
  const entries = Array.from(
    { length: 400 },
    (_, i) =>
      put(`${String(i).padStart(4, "0")}${"long".repeat(100)}`, i + 1, "v"),
  );
  const made = makeTable(entries, [], { blockSize: 256, bloomBitsPerKey: 0 });
  const table = openTable(made);
  assertGreater(table.blockCount, 300);
  let data = 0;
  for (let i = 0; i < table.blockCount; i++) data += table.handle(i).length + 5;
  // An index entry of a short separator, a handle and an offset: some 16 bytes.
  // The last one is the whole last key.
  const last = entries[entries.length - 1].key.length;
  assertLessOrEqual(made.meta.size - data, table.blockCount * 16 + last + 250);
});

test("index, filter and tombstones do not count as data: a tombstone takes its key and a few bytes", () => {
  const entries = sorted(
    Array.from({ length: 1000 }, (_, i) => tombstone(`k${i + 1000}`, i + 1)),
  );
  const { meta } = makeTable(entries, [], {
    blockSize: 4096,
    bloomBitsPerKey: 0,
  });
  assert(meta.size < 1000 * 11 + 1000, `${meta.size} bytes`);
});

test("a failed write leaves an error and, once abandoned, no file", () => {
  const files = newFiles();
  const writer = newWriter(files, 1);
  files.onOperation = (operation) => {
    if (operation === "write") {
      throw Object.assign(new Error("made by the test"), { code: "ENOSPC" });
    }
  };
  addEntry(writer, put("a", 1));
  throwsWith("IO", () => writer.finish([]));
  writer.abandon();
  assertEquals(files.list("/db"), []);
});
