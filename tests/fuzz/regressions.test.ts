/**
 * What fuzzing found, each as a test of its own: bytes under checksums that
 * match and that nevertheless cannot be what the engine wrote.
 */
import { describe, test } from "node:test";
import { attachWith } from "../../lib/attach.ts";
import { putU48 } from "../../lib/encoding/fixed.ts";
import { Decoder } from "../../lib/encoding/varint.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import { MergingCursor } from "../../lib/read/merging_cursor.ts";
import { RangeCover } from "../../lib/read/range_cover.ts";
import { VisibleRows } from "../../lib/read/visible.ts";
import { Results } from "../../lib/runtime/results.ts";
import { Block, BlockEntry, openBlock } from "../../lib/sstable/block.ts";
import { BlockBuilder } from "../../lib/sstable/block_builder.ts";
import { TableCursor } from "../../lib/sstable/cursor.ts";
import { FOOTER_LENGTH } from "../../lib/sstable/format.ts";
import { LevelCursor } from "../../lib/sstable/level_cursor.ts";
import type { TableMeta } from "../../lib/sstable/meta.ts";
import { decodeEdit, encodeEdit } from "../../lib/version/edit.ts";
import { ManifestWriter, readManifest } from "../../lib/version/manifest.ts";
import type { ShareHandle } from "../../lib/share/handle.ts";
import { assert, assertEquals } from "../assert.ts";
import { throwsWith } from "../engine/support/errors.ts";
import { PATH } from "../engine/support/memory.ts";
import { openWith } from "../open.ts";
import { put, toBytes } from "../unit/support/entries.ts";
import {
  append,
  BEFORE,
  LOG,
  LOG_PATH,
  type LogOperation,
  newLog,
  replay,
} from "../unit/support/logs.ts";
import { metaOf } from "../unit/support/metas.ts";
import {
  lookUpIn,
  type MadeTable,
  makeTable,
  openTable,
} from "../unit/support/tables.ts";
import { sealLog, sealManifest, sealTable } from "./support/seals.ts";
import {
  putTogether,
  type TableParts,
  takeApart,
} from "./support/table_parts.ts";

const QUIET = { background: "off" } as const;

test("a varint above 2^53 - 1 is refused", () => {
  const largest = Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 15);
  const decoder = new Decoder(largest, 0, 8);
  assertEquals(decoder.varint(), Number.MAX_SAFE_INTEGER);
  assert(!decoder.failed);
  for (const last of [16, 127]) {
    const above = new Decoder(largest.with(7, last), 0, 8);
    assertEquals(above.varint(), 0);
    assert(above.failed, `last byte ${last}`);
  }
});

describe("a log is damaged that holds", () => {
  const refused = (operation: Partial<LogOperation>) => {
    const { files, log } = newLog();
    append(log, {
      sequence: BEFORE + 1,
      kind: 0,
      key: "key",
      value: "",
      ...operation,
    });
    log.write();
    log.close();
    throwsWith("CORRUPTION", () => replay(files));
  };

  // The arena has 17 bits for the length of a key.
  for (const length of [65_537, 2 ** 17 + 1]) {
    test(`a key of ${length} bytes`, () => {
      refused({ key: "k".repeat(length) });
      refused({ kind: 1, key: "k".repeat(length) });
    });
  }

  test("a bound that succeeds no key", () => {
    refused({ kind: 2, key: "", value: "k".repeat(65_538) });
    refused({ kind: 2, key: "k".repeat(65_538), value: "l" });
  });

  test("a range that ends before it starts", () => {
    refused({ kind: 2, key: "b", value: "a" });
    refused({ kind: 2, key: "b", value: "b" });
  });

  test("a sequence of more than 48 bits", () => {
    const { files, log } = newLog();
    const operation = { kind: 0, key: "key", value: "" };
    append(log, { ...operation, sequence: 2 ** 48 - 1 });
    append(log, { ...operation, sequence: 2 ** 48 });
    log.write();
    log.close();
    throwsWith("CORRUPTION", () => replay(files));
  });

  test("a flag that is not known", () => {
    const { files, log } = newLog();
    log.close();
    const bytes = files.readFile(LOG_PATH);
    bytes[30] = 2;
    files.writeFile(LOG_PATH, sealLog(bytes, LOG));
    throwsWith("CORRUPTION", () => replay(files));
  });
});

describe("an edit is none that adds a table", () => {
  const isEdit = (level: number, meta: Partial<TableMeta>) =>
    decodeEdit(
      encodeEdit({ addTables: [{ level, table: metaOf(meta) }] }),
    ) !== undefined;

  test("of a level without bound: the state was an array of so many levels", () => {
    assert(isEdit(255, {}));
    assert(!isEdit(256, {}));
    assert(!isEdit(2 ** 32 - 2, {}));
    assert(!isEdit(2 ** 53 - 1, {}));
  });

  const wrong: Record<string, Partial<TableMeta>> = {
    "that is shorter than a footer": { size: FOOTER_LENGTH - 1 },
    "with a number of more than 48 bits": { number: 2 ** 48 },
    "with a sequence of more than 48 bits": { newest: 2 ** 48 },
    "with sequences the wrong way round": { oldest: 2, newest: 1 },
    "with more tombstones than entries": { entries: 3, tombstones: 4 },
    "with more older versions than entries": { entries: 3, olderVersions: 4 },
    "with nothing in it": { entries: 0, rangeTombstones: 0 },
    "with keys the wrong way round": {
      smallest: toBytes("b"),
      largest: toBytes("a"),
    },
    "without an end, and with one": {
      unbounded: true,
      rangeTombstones: 1,
      largest: toBytes("a"),
    },
    "without an end, and without range tombstones": { unbounded: true },
  };
  for (const [name, meta] of Object.entries(wrong)) {
    test(name, () => assert(!isEdit(0, meta)));
  }

  test("with a flag that is not known", () => {
    const bytes = encodeEdit({ addTables: [{ level: 0, table: metaOf({}) }] });
    const flags = bytes.length - 3;
    assertEquals(bytes[flags], 0);
    bytes[flags] = 2;
    assertEquals(decodeEdit(bytes), undefined);
  });
});

test("bounds that succeed the longest keys are none of these", async () => {
  const runtime = memoryRuntime();
  const longest = "k".repeat(65_536);
  const db = await openWith(runtime, PATH, { compaction: QUIET });
  await db.put(longest, "kept");
  await db.clear({ gt: longest, lt: "l" });
  await db.clear({ gte: "j", lte: "j".repeat(65_536) });
  await db.close();
  const again = await openWith(runtime, PATH, { compaction: QUIET });
  assert(again.has(longest));
  await again.close();
});

test("a manifest whose header says more than it can is damaged", () => {
  const path = "/db/MANIFEST-000002";
  const files = new MemoryFileSystem();
  files.makeDirectory("/db");
  new ManifestWriter(files, path, 2).close();
  const bytes = files.readFile(path);
  bytes[18] = 1;
  files.writeFile(path, sealManifest(bytes, 2));
  throwsWith("CORRUPTION", () => readManifest(files, path, 2, 0));
});

test("a state that was flushed past its last sequence is damaged", () => {
  const path = "/db/MANIFEST-000002";
  const files = new MemoryFileSystem();
  files.makeDirectory("/db");
  const writer = new ManifestWriter(files, path, 2);
  writer.append({ lastSequence: 5, flushedSequence: 6 });
  writer.close();
  throwsWith("CORRUPTION", () => readManifest(files, path, 2, 0));
});

describe("a table is damaged", () => {
  const fragment = {
    start: toBytes("b"),
    end: toBytes("d"),
    sequences: [5, 6],
  };
  const make = () => makeTable([put("a", 4), put("c", 3)], [fragment]);

  /** The table with parts changed, and the length that the manifest is to know. */
  const changed = (change: (parts: TableParts) => void): MadeTable => {
    const made = make();
    const parts = takeApart(
      made.files.readFile(made.path),
      made.meta.number,
    );
    change(parts);
    const bytes = putTogether(parts);
    made.files.writeFile(made.path, bytes);
    return { ...made, meta: { ...made.meta, size: bytes.length } };
  };
  const isRefused = (made: MadeTable) => {
    throwsWith("CORRUPTION", () => lookUpIn(openTable(made), "c", 100));
    throwsWith("CORRUPTION", () => openTable(made).fragments());
  };

  test("whose range tombstones are gone: what they deleted came back", () => {
    isRefused(changed((parts) => parts.ranges = new Uint8Array(0)));
  });

  test("whose index is gone: every key was absent", () => {
    isRefused(changed((parts) => parts.index = new Uint8Array(0)));
  });

  test("whose index names fewer blocks than there are", () => {
    isRefused(changed((parts) => {
      parts.properties = parts.properties.slice();
      assertEquals(parts.properties[7], 4);
      parts.properties[8] = 2;
    }));
  });

  test("whose range tombstones have sequences out of order", () => {
    isRefused(changed((parts) => {
      const { ranges } = parts;
      assertEquals([...ranges.subarray(-2)], [2, 3]);
      ranges.set([3, 2], ranges.length - 2);
    }));
  });

  test("whose range tombstones are newer than the manifest says", () => {
    isRefused(changed((parts) => parts.ranges[parts.ranges.length - 1] = 4));
  });

  test("whose properties go on behind their end", () => {
    isRefused(
      changed((parts) =>
        parts.properties = Uint8Array.of(...parts.properties, 0)
      ),
    );
  });

  test("whose footer has something where nothing is", () => {
    const made = make();
    const bytes = made.files.readFile(made.path);
    bytes[bytes.length - FOOTER_LENGTH + 56] = 1;
    made.files.writeFile(made.path, sealTable(bytes, made.meta.number, []));
    isRefused(made);
  });

  test("whose base is above its sequences", () => {
    const made = make();
    const bytes = made.files.readFile(made.path);
    putU48(bytes, bytes.length - FOOTER_LENGTH + 46, 4);
    made.files.writeFile(made.path, sealTable(bytes, made.meta.number, []));
    isRefused(made);
  });

  test("that is shorter than a footer", () => {
    const made = make();
    made.files.writeFile(made.path, new Uint8Array(10));
    isRefused({ ...made, meta: { ...made.meta, size: 10 } });
  });
});

describe("tables whose keys are out of order do not make a scan endless", () => {
  // Behind four hidden entries a scan goes straight to the end of the range
  // tombstone: where keys are out of order, back to what it had passed.
  const NEWEST = 100;
  const change = ({ files, path, meta }: MadeTable, keys: string) => {
    const bytes = files.readFile(path);
    const parts = takeApart(bytes, meta.number);
    const [{ content }] = parts.blocks;
    const block = openBlock(content, 0, content.length, path, 0);
    assertEquals([parts.blocks.length, block.count], [1, keys.length]);
    const entry = new BlockEntry();
    toBytes(keys).forEach((byte, i) => {
      assert(entry.read(block, i));
      content[entry.restStart] = byte;
    });
    files.writeFile(path, putTogether(parts));
  };
  const make = (written: string, changed: string, number: number) => {
    const made = makeTable([...written].map((key) => put(key, 1)), [], {
      blockSize: 4096,
    }, number);
    change(made, changed);
    return openTable(made);
  };
  const isRefused = (
    cursor: TableCursor,
    start: string,
    end: string,
    reverse: boolean,
  ) => {
    const fragment = {
      start: toBytes(start),
      end: toBytes(end),
      sequences: [NEWEST],
    };
    const rows = new VisibleRows(
      new MergingCursor([cursor], reverse),
      new RangeCover([[[fragment]]], NEWEST),
      NEWEST,
      { start: undefined, end: undefined },
      reverse,
      new Results(true),
    );
    throwsWith("CORRUPTION", () => {
      for (let count = 0; rows.next(); count++) {
        assert(count < 100, "a scan without end");
      }
    });
  };

  test("forwards", () => {
    const table = make("abcdefghijkl", "abcdejkfghil", 7);
    isRefused(new TableCursor(table, false), "c", "j", false);
  });

  test("backwards", () => {
    const table = make("abcdefghijkl", "efghiabcdjkl", 7);
    isRefused(new TableCursor(table, false), "c", "j", true);
  });

  test("backwards from table to table", () => {
    const tables = [make("abcde", "ahijk", 7), make("gm", "gm", 8)];
    isRefused(new LevelCursor(tables, false), "h", "l", true);
  });

  test("forwards from table to table", () => {
    const tables = [make("ag", "ag", 7), make("hijkl", "bcdel", 8)];
    isRefused(new LevelCursor(tables, false), "b", "f", false);
  });
});

test("a search does not look at what lies behind a block", () => {
  const builder = new BlockBuilder(false);
  for (const key of ["a", "b", "c"]) {
    builder.add(toBytes(key), 0, 1, 0, 0, new Uint8Array(0), 0, 0, 0);
  }
  const bytes = new Uint8Array(300);
  const length = builder.finish(bytes, 0);
  const entry = new BlockEntry();
  for (const lost of [0, 1, 2]) {
    const harmed = bytes.slice();
    // The offset of an entry leads behind the block, where a "b" stands.
    harmed[length - 4 - 6 + lost * 2] = 200;
    for (const foreign of ["a", "b", "z"]) {
      harmed.set(toBytes(`\x01${foreign}\0\0`), 200);
      const block = new Block();
      assert(block.reset(harmed, 0, length));
      for (const key of ["a", "b", "c"]) {
        const at = block.find(toBytes(key), 1);
        const index = at < 0 ? -1 - at : at;
        const isSeen = index < 3 && !entry.read(block, index);
        const isRight = at >= 0 && key === "abc"[at];
        assert(isSeen || isRight, `${key} with entry ${lost} lost: ${at}`);
      }
    }
  }
});

describe("attach refuses a handle", () => {
  const cases: Record<string, (handle: ShareHandle) => object> = {
    "without a control block": () => ({ control: new SharedArrayBuffer(6) }),
    "with a control block of another length": ({ control }) => {
      const longer = new SharedArrayBuffer(control.byteLength + 4);
      new Uint8Array(longer).set(new Uint8Array(control));
      return { control: longer };
    },
    "with another number of memtables": () => ({ memtablesMax: NaN }),
    "without arenas": () => ({ arenas: [] }),
    "with arenas that are none": ({ arenas }) => ({
      arenas: arenas.map(() => new SharedArrayBuffer(4)),
    }),
    "with arenas that are no memory": ({ arenas }) => ({
      arenas: arenas.map(() => 1),
    }),
    "with a cache that is none": () => ({ cache: {} }),
    "with a cache that is too short": () => ({
      cache: new SharedArrayBuffer(4),
    }),
    "with a cache of another layout": () => ({
      cache: new SharedArrayBuffer(65_536),
    }),
    "with memory for tables that is no number": () => ({
      tableMemoryBytes: "a lot",
    }),
    "with a lease that is too long": () => ({ leaseSeconds: 2 ** 40 }),
    "with a lease that is no number": () => ({ leaseSeconds: NaN }),
  };
  for (const [name, change] of Object.entries(cases)) {
    test(name, async () => {
      const runtime = memoryRuntime();
      const db = await openWith(runtime, PATH, {
        writeBufferSize: 4096,
        blockCacheSize: 65_536,
      });
      try {
        const handle = db.share();
        const changed = { ...handle, ...change(handle) } as ShareHandle;
        throwsWith("INVALID_ARGUMENT", () => attachWith(runtime, changed));
        attachWith(runtime, handle).close();
      } finally {
        await db.close();
      }
    });
  }
});
