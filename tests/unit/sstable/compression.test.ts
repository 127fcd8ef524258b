/** Compressed blocks: they are smaller, hold what was written, and are read as data only if they are whole. */
import { describe, test } from "node:test";
import { getU32, putU32 } from "../../../lib/encoding/fixed.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import { compress } from "../../../lib/runtime/compression.ts";
import { BlockCompressor, unpack } from "../../../lib/sstable/compression.ts";
import { TableCursor } from "../../../lib/sstable/cursor.ts";
import {
  decodeFooter,
  FOOTER_LENGTH,
  type Handle,
  sectionChecksum,
  ZSTANDARD,
} from "../../../lib/sstable/format.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertStringIncludes,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { Random } from "../../engine/support/random.ts";
import { putTogether, takeApart } from "../../fuzz/support/table_parts.ts";
import {
  assertSameEntries,
  type Entry,
  put,
  walk,
} from "../support/entries.ts";
import { fragmentsOf } from "../support/ranges.ts";
import {
  lookUpIn,
  type MadeTable,
  makeTable,
  newContext,
  openTable,
} from "../support/tables.ts";

const NUMBER = 7;
const ZSTD = { blockSize: 1024, compression: "zstd" } as const;

function keyOf(i: number): string {
  return `user/${String(i).padStart(5, "0")}`;
}

/** Entries as programs have them: text that repeats itself. */
function texts(count: number, first = 0): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const text = `{"id":${first + i},"name":"somebody","city":"somewhere"}`;
    return put(keyOf(first + i), 1 + i, text);
  });
}

/** Entries that no compressor makes smaller. */
function noises(count: number, first = 0): Entry[] {
  const random = new Random(5);
  return Array.from({ length: count }, (_, i) => {
    const bytes = Array.from({ length: 100 }, () => random.below(256));
    return put(keyOf(first + i), 1 + i, String.fromCharCode(...bytes));
  });
}

function bytesOf(made: MadeTable): Uint8Array {
  return made.files.readFile(made.path);
}

/** How each data block of a table is compressed. */
function compressions(made: MadeTable): number[] {
  return takeApart(bytesOf(made), NUMBER).blocks
    .map(({ compression }) => compression);
}

/** Reads a table on every way that there is. */
function assertReads(made: MadeTable, entries: readonly Entry[]): void {
  for (const cacheBytes of [1 << 20, 0]) {
    const table = openTable(made, newContext(made.files, cacheBytes));
    for (let round = 0; round < 2; round++) {
      for (const { key, sequence, value } of entries) {
        const answer = lookUpIn(table, key, sequence);
        assertEquals(answer.value, value, key);
      }
      for (const sequential of [false, true]) {
        const cursor = new TableCursor(table, sequential);
        assertSameEntries(walk(cursor), entries, "walked");
        cursor.close();
      }
    }
    table.close();
  }
}

/** Reads everything, so that any damage is met. */
function readAll(made: MadeTable, entries: readonly Entry[]): void {
  const table = openTable(made);
  try {
    walk(new TableCursor(table, true));
    for (const { key } of entries) lookUpIn(table, key, 2 ** 40);
  } finally {
    table.close();
  }
}

test(
  "a table whose blocks are compressed is smaller and holds the same",
  LONG,
  () => {
    const entries = texts(500);
    const plain = makeTable(entries, [], { blockSize: 1024 });
    const made = makeTable(entries, [], ZSTD);
    assertLess(made.meta.size, plain.meta.size / 2);
    assertEquals({ ...made.meta, size: 0 }, { ...plain.meta, size: 0 });
    // The last block may be too short for it.
    const codes = compressions(made).slice(0, -1);
    assertGreater(codes.length, 20);
    assert(codes.every((code) => code === ZSTANDARD));
    assertReads(made, entries);
  },
);

test(
  "blocks of values that are longer than a block, and of 64 KiB and more",
  LONG,
  () => {
    const entries = [3000, 70_000, 300_000].flatMap((length, i) => [
      put(keyOf(2 * i), 1, "long ".repeat(length / 5)),
      put(keyOf(2 * i + 1), 1, "short"),
    ]);
    const made = makeTable(entries, [], ZSTD);
    assertLess(made.meta.size, 10_000);
    assertReads(made, entries);
  },
);

test(
  "blocks that would hardly become smaller are left as they are, and cost no more",
  LONG,
  () => {
    const entries = noises(300);
    const plain = makeTable(entries, [], { blockSize: 1024 });
    const made = makeTable(entries, [], ZSTD);
    assertEquals(made.meta.size, plain.meta.size);
    assert(compressions(made).every((code) => code === 0));
    assertReads(made, entries);
  },
);

test("behind blocks that cannot be compressed the next ones are, after at most 31", () => {
  const noisy = compressions(makeTable(noises(600), [], ZSTD)).length;
  const entries = [...noises(600), ...texts(2000, 600)];
  const codes = compressions(makeTable(entries, [], ZSTD)).slice(0, -1);
  const first = codes.indexOf(ZSTANDARD);
  assertGreater(codes.length, noisy + 40);
  assertLessOrEqual(first, noisy + 31);
  assert(codes.slice(first).every((code) => code === ZSTANDARD));
});

test("what cannot be compressed is tried less and less often", () => {
  const random = new Random(1);
  const noise = Uint8Array.from({ length: 1024 }, () => random.below(256));
  const text = new Uint8Array(1024).fill(65);
  const tried: number[] = [];
  for (let before = 0; before < 130; before++) {
    const compressor = new BlockCompressor();
    for (let i = 0; i < before; i++) {
      assertEquals(compressor.pack(noise.slice(), 0, 1024), 1024);
    }
    if (compressor.pack(text.slice(), 0, 1024) < 1024) tried.push(before);
  }
  assertEquals(tried, [0, 2, 6, 14, 30, 62, 94, 126]);
});

test(
  "any byte of a compressed table changed is CORRUPTION when it is read",
  LONG,
  () => {
    const entries = texts(60);
    const made = makeTable(
      entries,
      fragmentsOf([{ start: "a", end: "b", sequence: 5 }]),
      ZSTD,
    );
    const original = bytesOf(made);
    assert(compressions(made).includes(ZSTANDARD));
    readAll(made, entries);
    for (let at = 0; at < original.length; at++) {
      const damaged = original.slice();
      damaged[at] ^= 1 << (at % 8);
      made.files.writeFile(made.path, damaged);
      throwsWith("CORRUPTION", () => readAll(made, entries));
    }
  },
);

describe("a block that was wrong before it was summed is CORRUPTION:", () => {
  const entries = texts(60);
  const frameOf = (content: Uint8Array) => content.subarray(2);
  const withLength = (length: number[], frame: Uint8Array) =>
    Uint8Array.of(...length, ...frame);
  const CHANGES: [string, (content: Uint8Array) => Uint8Array][] = [
    ["nothing", () => Uint8Array.of(0x80)],
    ["a length alone", (content) => content.slice(0, 2)],
    ["a length of 0", (content) => withLength([0], frameOf(content))],
    ["a shorter length", (content) => withLength([100], frameOf(content))],
    [
      "a longer length",
      (content) => withLength([0xff, 0x7f], frameOf(content)),
    ],
    [
      "a length of a terabyte",
      (content) =>
        withLength([0x80, 0x80, 0x80, 0x80, 0x80, 0x20], frameOf(content)),
    ],
    ["a frame that was cut", (content) => content.slice(0, -3)],
    ["half a frame", (content) => content.slice(0, content.length >> 1)],
    [
      "another frame",
      (content) =>
        withLength([0x80, 8], compress(new Uint8Array(content.length))),
    ],
    [
      "no frame",
      (content) => withLength([0x80, 8], new Uint8Array(content.length)),
    ],
    [
      "a frame of no block",
      () => withLength([0x80, 8], compress(new Uint8Array(1024).fill(0xff))),
    ],
  ];
  for (const [name, change] of CHANGES) {
    test(name, () => {
      for (const isFirst of [true, false]) {
        const made = makeTable(entries, [], ZSTD);
        const parts = takeApart(bytesOf(made), NUMBER);
        const block = parts.blocks[isFirst ? 0 : parts.blocks.length - 2];
        assertEquals(block.compression, ZSTANDARD);
        block.content = change(block.content);
        const bytes = putTogether(parts);
        made.files.writeFile(made.path, bytes);
        const changed = { ...made, meta: { ...made.meta, size: bytes.length } };
        const walking = () => walk(new TableCursor(openTable(changed), true));
        throwsWith("CORRUPTION", walking);
        const backwards = () => {
          const cursor = new TableCursor(openTable(changed), false);
          for (cursor.seekToLast(); cursor.valid;) cursor.previous();
        };
        throwsWith("CORRUPTION", backwards);
        const table = openTable(changed);
        const lookingUp = () => {
          for (const { key } of entries) lookUpIn(table, key, 2 ** 40);
        };
        const error = throwsWith("CORRUPTION", lookingUp);
        assertStringIncludes(error.message, changed.path);
        throwsWith("CORRUPTION", lookingUp); // again, and not out of the cache
      }
    });
  }
});

describe("a section is compressed only where that may be:", () => {
  const made = makeTable(texts(60), [], ZSTD);
  const original = bytesOf(made);
  const footer = decodeFooter(
    original.slice(-FOOTER_LENGTH),
    made.path,
    NUMBER,
    original.length,
  );

  /** A table in which a section says that it is compressed in some way. */
  function withCompression(
    { offset, length }: Handle,
    compression: number,
    version = 3,
  ): MadeTable {
    const bytes = original.slice();
    const end = offset + length;
    bytes[end] = compression;
    putU32(
      bytes,
      end + 1,
      sectionChecksum(bytes, offset, end + 1, NUMBER, offset),
    );
    const tail = bytes.subarray(-FOOTER_LENGTH);
    assertEquals(getU32(tail, 52), 3);
    putU32(tail, 52, version);
    putU32(tail, 60, checksum(tail.subarray(0, 60), NUMBER));
    const copy = makeTable(texts(60), [], ZSTD);
    copy.files.writeFile(copy.path, bytes);
    return copy;
  }

  const length = takeApart(original, NUMBER).blocks[0].content.length;
  const block = { offset: 0, length };

  test("it can be read as it is", () => {
    readAll(withCompression(block, 1), texts(60));
  });

  const CASES: [string, Handle, number, number][] = [
    ["a data block in a way that is not known", block, 2, 3],
    ["a data block of a table of version 2", block, 1, 2],
    ["an index", footer.index, 1, 3],
    ["a filter", footer.filter, 1, 3],
    ["properties", footer.properties, 1, 3],
  ];
  for (const [name, handle, compression, version] of CASES) {
    test(name, () => {
      const changed = withCompression(handle, compression, version);
      const error = throwsWith(
        "CORRUPTION",
        () => readAll(changed, texts(60)),
      );
      assertStringIncludes(error.message, "compression");
    });
  }
});

test("unpack() gives what pack() was given, wherever it lies", () => {
  for (const length of [200, 1024, 70_000]) {
    for (const start of [0, 3, 100]) {
      const bytes = new Uint8Array(start + length + 50).fill(7);
      for (let i = 0; i < length; i++) bytes[start + i] = i & 15;
      const original = bytes.slice();
      const end = new BlockCompressor().pack(bytes, start, start + length);
      assertLess(end, start + length);
      const unpacked = unpack(bytes, start, end);
      assertEquals(unpacked, original.slice(start, start + length));
      assertEquals(bytes.slice(0, start), original.slice(0, start));
      assertEquals(
        bytes.slice(start + length),
        original.slice(start + length),
      );
    }
  }
});
