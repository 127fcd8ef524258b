/**
 * db.share() and attach(): what a reader sees of a database that another
 * thread owns. Mostly within one thread, where owner and reader can be brought
 * between each other's steps; the threads themselves are in
 * share_threads.test.ts.
 */
import { test } from "node:test";
import { attachWith } from "../../lib/attach.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import type { File, Runtime } from "../../lib/runtime/runtime.ts";
import { ControlBlock, VERSION } from "../../lib/share/control.ts";
import type { ShareHandle, ShareOptions } from "../../lib/share/handle.ts";
import {
  attach,
  Chunk,
  type Db,
  json,
  type Options,
  type ReadonlyDb,
  utf8,
} from "../../mod.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { bytes, filled, keys, numbered, rows, text } from "./support/bytes.ts";
import { DEFAULT_CONFIG, LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import { rejectsWith, throwsWith } from "./support/errors.ts";
import { openIn, PATH, withMemoryDb } from "./support/memory.ts";
import { Random } from "./support/random.ts";
import { interrupted } from "../unit/support/atomics.ts";

/** A write buffer of 4 KiB; what is flushed is up to the test. */
const SMALL: Options = { ...DEFAULT_CONFIG, durability: "buffered" };

function runtimeOf(files: MemoryFileSystem): Runtime {
  return { ...memoryRuntime(), files };
}

/** Runs `body` with a database in memory and a reader of it. */
function withReader(
  body: (db: Db, reader: ReadonlyDb, files: MemoryFileSystem) => Promise<void>,
  options: Options = SMALL,
): Promise<void> {
  return withMemoryDb(async (db, files) => {
    using reader = attachWith(runtimeOf(files), db.share());
    await body(db, reader, files);
  }, options);
}

async function fill(db: Db, count: number, value = "value"): Promise<void> {
  for (let i = 0; i < count; i++) await db.put(numbered("key", i), value);
}

test("a reader sees a write at once, and what becomes of it", () =>
  withReader(async (db, reader) => {
    const seen =
      () => [text(reader.get("a")), reader.has("a"), keys(reader.scan())];
    assertEquals(seen(), [undefined, false, []]);
    const write = db.put("a", "one");
    assertEquals(seen(), ["one", true, ["a"]]);
    await write;
    await db.flush();
    assertEquals(seen(), ["one", true, ["a"]]);
    await db.put("a", "two");
    assertEquals(seen(), ["two", true, ["a"]]);
    await db.delete("a");
    assertEquals(seen(), [undefined, false, []]);
    await db.put("a", "three");
    await db.majorCompact();
    assertEquals(seen(), ["three", true, ["a"]]);
    await db.deleteRange("a", "b");
    assertEquals(seen(), [undefined, false, []]);
    await db.flush();
    assertEquals(seen(), [undefined, false, []]);
    await db.write([{ type: "put", key: "a", value: "four" }]);
    assertEquals(seen(), ["four", true, ["a"]]);
  }));

test("what was there before the first share() is there", () =>
  withMemoryDb(async (db, files) => {
    await fill(db, 200);
    await db.deleteRange("key_0010", "key_0020");
    await db.put("key_0015", "again");
    using reader = attachWith(runtimeOf(files), db.share());
    assertEquals(rows(reader.scan()), rows(db.scan()));
    assertEquals(text(reader.get("key_0015")), "again");
    assertEquals(reader.get("key_0016"), undefined);
  }, SMALL));

test("share() gives the same handle again; readers may be many", () =>
  withMemoryDb(async (db, files) => {
    const handle = db.share();
    assert(db.share() === handle);
    const readers = Array.from(
      { length: 20 },
      () => attachWith(runtimeOf(files), handle),
    );
    await fill(db, 500);
    for (const reader of readers) {
      assertEquals(text(reader.get("key_0499")), "value");
      reader.close();
    }
  }, SMALL));

test("codecs are given again to attach()", () =>
  withDb(async (db) => {
    await db.put("a", JSON.stringify({ n: 1 }));
    using reader = await attach(db.share(), {
      keys: utf8,
      values: json<{ n: number }>(),
    });
    assertEquals(reader.get("a"), { n: 1 });
    assertEquals([...reader.scan()], [["a", { n: 1 }]]);
    using snapshot = reader.snapshot();
    assertEquals(snapshot.getMany(["a", "b"]), [{ n: 1 }, undefined]);
  }));

test("results of a reader lie in no shared memory", () =>
  withReader(async (db, reader) => {
    await db.put("a", filled(10));
    await db.put("b", filled(2000));
    await db.put("c", "");
    for (const [key, value] of reader.scan()) {
      assert(!(key.buffer instanceof SharedArrayBuffer));
      assert(!(value.buffer instanceof SharedArrayBuffer));
    }
    for (const value of reader.getMany(["a", "b", "c"])) {
      assert(value !== undefined);
      assert(!(value.buffer instanceof SharedArrayBuffer));
    }
  }));

for (const background of ["off", "inline"] as const) {
  for (const seed of [1, 2, 3]) {
    const title =
      `a reader, its snapshots and its scans are right all the way: background ${background}, seed ${seed}`;
    test(title, LONG, () =>
      withReader(
        (db, reader) => followed(db, reader, new Random(seed)),
        {
          ...SMALL,
          writeBufferSize: 512,
          compaction: { background, minThreshold: 2, tombstoneRatio: 0.2 },
        },
      ));
  }
}

interface Moment {
  readonly snapshot: ReturnType<ReadonlyDb["snapshot"]>;
  readonly expected: [string, string][];
}

/** Random writes, each followed by reads, old moments included. */
async function followed(
  db: Db,
  reader: ReadonlyDb,
  random: Random,
): Promise<void> {
  const moments: Moment[] = [];
  for (let step = 0; step < 1500; step++) {
    await randomWrite(db, random, step);
    const key = numbered("key", random.below(60));
    assertEquals(text(reader.get(key)), text(db.get(key)), `step ${step}`);
    if (step % 10 === 0) {
      const reverse = random.chance(50);
      const expected = rows(db.scan({ reverse }));
      assertEquals(rows(reader.scan({ reverse })), expected, `step ${step}`);
    }
    if (random.chance(5)) {
      const expected = rows(db.scan());
      moments.push({ snapshot: reader.snapshot(), expected });
    }
    if (moments.length > 0 && random.chance(20)) {
      const at = random.below(moments.length);
      const { snapshot, expected } = moments[at];
      assertEquals(rows(snapshot.scan()), expected, `step ${step}`);
      const backwards = rows(snapshot.scan({ reverse: true }));
      assertEquals(backwards, expected.toReversed(), `step ${step}`);
      if (random.chance(30)) {
        snapshot.close();
        moments.splice(at, 1);
      }
    }
  }
  for (const { snapshot } of moments) snapshot.close();
  assertEquals(db.stats().openSnapshots, 0);
}

async function randomWrite(db: Db, random: Random, step: number) {
  const key = numbered("key", random.below(60));
  const kind = random.below(100);
  if (kind < 70) await db.put(key, `${step}`.repeat(1 + random.below(9)));
  else if (kind < 85) await db.delete(key);
  else if (kind < 92) {
    await db.deleteRange(key, numbered("key", 60 + random.below(9)));
  } else if (kind < 96) {
    const batch = db.batch();
    for (let i = 0; i < 5; i++) batch.put(numbered("key", i), `${step}`);
    await db.write(batch.deleteRange("key_0007", "key_0009"));
  } else if (kind < 98) await db.flush();
  else if (kind < 99) await db.majorCompact();
  else await db.minorCompact();
}

test(
  "a scan goes on through flushes, compactions and reused arenas",
  LONG,
  () =>
    withReader(async (db, reader) => {
      await fill(db, 500);
      for (const reverse of [false, true]) {
        const expected = keys(db.scan({ reverse }));
        const seen: string[] = [];
        for (const key of reader.scan({ reverse }).keys()) {
          seen.push(new TextDecoder().decode(key));
          const i = seen.length;
          await db.put(numbered("key", i), filled(100, i));
          await db.put(`new ${i}`, "");
          if (i % 50 === 0) await db.majorCompact();
          if (i % 70 === 0) await db.deleteRange("key", "kez");
        }
        assertEquals(seen, expected);
      }
      assertGreater(db.stats().flush.runs, 20);
      assertEquals(db.stats().openSnapshots, 0);
    }),
);

test(
  "a scan passes many hidden entries, however the tree changes",
  LONG,
  () =>
    withReader(async (db, reader) => {
      await fill(db, 3000);
      for (let i = 1; i < 2999; i++) await db.delete(numbered("key", i));
      const expected = ["key_0000", "key_2999"];
      assertEquals(keys(reader.scan()), expected);
      assertEquals(keys(reader.scan({ reverse: true })), expected.toReversed());
    }),
);

test(
  "a read during which arenas are filled anew is done again",
  LONG,
  () =>
    withReader(async (db, reader, files) => {
      await db.put("b", "table");
      await db.flush();
      /** Fills every arena anew, without giving way. */
      const refill = () => {
        for (let i = 0; i < 400; i++) {
          db.put(`other ${i % 50}`, filled(150, i)).catch(() => {});
        }
      };
      for (let round = 0; round < 10; round++) {
        const reverse = round % 2 === 1;
        // What is read comes from the memtable; but its neighbour is read too.
        const key = reverse ? "b1" : "a";
        await db.put(key, `memory ${round}`);
        const expected = rows(db.scan({ reverse, lt: "c" }));
        assertEquals(rows(reader.scan({ reverse, lt: "c" })), expected);
        const scan = reader.scan({ reverse, lt: "c" })[Symbol.iterator]();
        let refills = 0;
        files.onOperation = (operation, path) => {
          if (operation !== "read" || !path.endsWith("vtab")) return;
          files.onOperation = undefined;
          refills++;
          refill();
        };
        const seen = rows([...scan]);
        assertEquals(refills, 1);
        assertEquals(seen, expected, `round ${round}`);
        await db.clear({ gte: "c" });
        await db.majorCompact();
      }
    }, { ...SMALL, blockSize: 256, blockCacheSize: 0 }),
);

test("sync() resolved before readers saw what it had made durable", () =>
  withReader(async (db, reader) => {
    const large = db.put("large", filled(20_000), { durability: "buffered" });
    await db.sync();
    assertEquals(reader.get("large"), filled(20_000));
    await large;
  }));

test("a record larger than the write buffer is seen once it is acknowledged, and nothing newer before it", () =>
  withReader(async (db, reader) => {
    await db.put("a", "first");
    const large = db.put("large", filled(20_000));
    const after = db.put("after", "x");
    assertEquals(text(reader.get("a")), "first");
    assertEquals(reader.has("large"), reader.has("after"));
    await after;
    assertEquals(reader.get("large"), filled(20_000));
    assertEquals(text(reader.get("after")), "x");
    await large;
    using snapshot = reader.snapshot();
    const batch = db.batch().put("b", filled(9000, 2)).put(
      "c",
      filled(9000, 3),
    );
    const write = db.write(batch.deleteRange("a", "b"));
    assertEquals(reader.has("b"), !reader.has("a"));
    await write;
    assertEquals(keys(reader.scan()), ["b", "c", "large"]);
    assertEquals(keys(snapshot.scan()), ["a", "after", "large"]);
  }));

test(
  "a write that waits until readers see it is not counted as refused",
  LONG,
  () =>
    withReader(async (db) => {
      const outcomes: Promise<boolean>[] = [];
      while (db.stats().stalls.refused === 0) {
        const write = db.put(`${outcomes.length}`, filled(100_000));
        outcomes.push(write.then(() => true, () => false));
      }
      const accepted = await Promise.all(outcomes);
      assertEquals(accepted.filter((is) => !is).length, 1);
      assertEquals(db.stats().stalls.refused, 1);
    }),
);

test(
  "when no arena is free, writes are seen once they are acknowledged",
  LONG,
  () =>
    withReader(async (db, reader) => {
      // Scans of the owner keep the memtables that they read from.
      const scans = [];
      for (let i = 0; i < 400; i++) {
        await db.put(numbered("key", i), filled(200, i));
        assertEquals(reader.get(numbered("key", i)), filled(200, i));
        if (i % 4 === 0) scans.push(db.scan());
      }
      const last = scans.at(-1);
      assert(last !== undefined);
      assertEquals(keys(last).length, 397);
      for (const scan of scans) scan.close();
      const batch = db.batch();
      for (let i = 0; i < 400; i++) batch.put(numbered("key", i), "new");
      await db.write(batch);
      assertEquals(rows(reader.scan()), rows(db.scan()));
    }),
);

test(
  "writes that nobody awaits are seen when the last one is acknowledged",
  LONG,
  () =>
    withReader(async (db, reader) => {
      const writes = [];
      for (let i = 0; i < 500; i++) {
        const length = i % 100 === 50 ? 9000 : 100;
        writes.push(db.put(numbered("key", i), filled(length, i)));
      }
      await Promise.all(writes);
      assertEquals(keys(reader.scan()).length, 500);
    }),
);

test("a flush that fails does not acknowledge what readers cannot see", () =>
  withReader(async (db, reader, files) => {
    files.onOperation = (operation, path) => {
      if (operation === "write" && path.endsWith("vtab")) {
        throw Object.assign(new Error("made by the test"), { code: "ENOSPC" });
      }
    };
    await rejectsWith("IO", () => db.put("large", filled(20_000)));
    assertEquals(reader.has("large"), false);
    files.onOperation = undefined;
    await db.flush();
    assertEquals(reader.has("large"), true);
  }));

test("range deletes of a batch keep what a reader between its operations sees", () =>
  withReader(async (db, reader) => {
    await db.put("b", "old");
    await db.flush();
    await db.deleteRange("a", "c");
    const words = new Int32Array(db.share().control);
    let snapshot: ReturnType<ReadonlyDb["snapshot"]> | undefined;
    const { add } = Atomics;
    let calls = 0;
    // The owner raises a word of the control block before it looks at the
    // cells, once for each range delete: here another thread comes between.
    Atomics.add = ((array: Int32Array, index: number, value: number) => {
      const before = add(array, index, value);
      if (array.buffer === words.buffer && ++calls === 2) {
        Atomics.add = add;
        snapshot = reader.snapshot();
      }
      return before;
    }) as typeof Atomics.add;
    const batch = db.batch().deleteRange("a", "d").deleteRange("a", "e");
    const write = db.write(batch);
    Atomics.add = add;
    await write;
    assert(snapshot !== undefined);
    await db.flush();
    assertEquals(snapshot.get("b"), undefined);
    snapshot.close();
  }));

test("close() of the owner closes readers, their snapshots and scans", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, SMALL);
  const handle = db.share();
  const reader = attachWith(runtimeOf(files), handle);
  await fill(db, 10);
  const snapshot = reader.snapshot();
  const scan = reader.scan()[Symbol.iterator]();
  scan.next();
  const closing = db.close();
  throwsWith("CLOSED", () => reader.get("key_0001"));
  throwsWith("CLOSED", () => reader.getMany(["key_0001"]));
  throwsWith("CLOSED", () => reader.has("key_0001"));
  throwsWith("CLOSED", () => reader.scan());
  throwsWith("CLOSED", () => reader.snapshot());
  throwsWith("CLOSED", () => snapshot.get("key_0001"));
  throwsWith("CLOSED", () => snapshot.scan());
  throwsWith("CLOSED", () => scan.next());
  snapshot.close();
  reader.close();
  await closing;
  throwsWith("CLOSED", () => attachWith(runtimeOf(files), handle));
  throwsWith("CLOSED", () => db.share());
});

test("close() of a reader closes it alone and frees all it had", () =>
  withMemoryDb(async (db, files) => {
    const handle = db.share();
    const one = attachWith(runtimeOf(files), handle);
    using other = attachWith(runtimeOf(files), handle);
    await fill(db, 10);
    const snapshot = one.snapshot();
    const scan = one.scan();
    const { openSnapshots } = db.stats();
    assertEquals(openSnapshots, 2);
    one.close();
    one.close();
    assertEquals(db.stats().openSnapshots, 0);
    throwsWith("CLOSED", () => one.get("key_0001"));
    throwsWith("CLOSED", () => snapshot.get("key_0001"));
    throwsWith("CLOSED", () => [...scan]);
    snapshot.close();
    assertEquals(text(other.get("key_0001")), "value");
  }, SMALL));

test("scans that end, are left or disposed give their moment back", () =>
  withReader(async (db, reader) => {
    await fill(db, 10);
    assertEquals(keys(reader.scan()).length, 10);
    for (const _ of reader.scan()) break;
    reader.scan().close();
    for await (const _ of reader.scan()) break;
    using snapshot = reader.snapshot();
    const outliving = snapshot.scan();
    snapshot.close();
    assertEquals(db.stats().openSnapshots, 1);
    assertEquals(keys(outliving).length, 10);
    assertEquals(db.stats().openSnapshots, 0);
  }));

test("a scan of a snapshot lost its moment where the owner read the cells meanwhile", () =>
  withMemoryDb(async (db, files) => {
    const handle = db.share();
    const { control, memtablesMax, arenas } = handle;
    const block = new ControlBlock(control, memtablesMax, arenas.length);
    using reader = attachWith(runtimeOf(files), handle);
    await db.put("a", "old");
    for (let nth = 1; nth <= 8; nth++) { // One for each cell, and some before.
      const closed = [reader.snapshot(), reader.snapshot()];
      const snapshot = reader.snapshot();
      for (const other of closed) other.close();
      let cells: number[] = [];
      let scan = snapshot.scan();
      scan.close();
      const isCut = interrupted(nth, () => {
        scan = snapshot.scan();
        snapshot.close();
      }, () => {
        cells = block.readCells();
      });
      assert(isCut);
      assertEquals(cells, [1], `operation ${nth}`);
      assertEquals(rows(scan), [["a", "old"]]);
      assertEquals(block.readCells(), []);
    }
  }, SMALL));

test("a reader that is closed by its own codec opens nothing again", () =>
  withMemoryDb(async (db, files) => {
    await db.put("a", "1");
    await db.flush();
    const { runtime, openFiles } = countingRuntime(files, "");
    const values = {
      encode: (value: string) => new TextEncoder().encode(value),
      decode: () => {
        reader.close();
        return "";
      },
    };
    const codecs = { keys: utf8, values };
    const reader = attachWith(runtime, db.share(), codecs);
    throwsWith("CLOSED", () => reader.getMany(["a", "a"]));
    assertEquals(openFiles(), 0);
  }, SMALL));

test("an owner that is gone in the middle of a change is waited for once", () =>
  withReader(async (db, reader) => {
    await db.put("a", "1");
    const snapshot = reader.snapshot();
    const words = new Int32Array(db.share().control);
    const { wait } = Atomics;
    let waits = 0;
    Atomics.wait = (() => {
      waits++;
      return "timed-out";
    }) as typeof Atomics.wait;
    try {
      words[VERSION] |= 1;
      throwsWith("CLOSED", () => reader.get("a"));
      assertGreater(waits, 0);
      waits = 0;
      throwsWith("CLOSED", () => reader.get("a"));
      throwsWith("CLOSED", () => snapshot.scan());
      assertEquals(waits, 0);
    } finally {
      Atomics.wait = wait;
      words[VERSION] &= ~1;
    }
  }));

test("nothing is kept of a state that was read while it changed", () =>
  withReader(async (db, reader) => {
    await db.put("a", "1");
    assertEquals(text(reader.get("a")), "1");
    await db.flush();
    await db.put("b", "2");
    const { control, memtablesMax, arenas } = db.share();
    const block = new ControlBlock(control, memtablesMax, arenas.length);
    const { words } = block;
    const [{ arena }] = block.readState().memtables;
    // The newest memtable's arena, in the state; its use is the next field.
    const fields = new Float64Array(control);
    const at = 36;
    assertEquals(fields[at], arena);
    fields[at] = (arena + 1) % arenas.length; // What was there before.
    const { load } = Atomics;
    Atomics.load = ((array: Int32Array, index: number) => {
      // The sequence is read after the state: here the owner has come to an end.
      if (array.buffer === control && index === 2) {
        Atomics.load = load;
        fields[at] = arena;
        words[VERSION] += 2;
      }
      return load(array, index);
    }) as typeof Atomics.load;
    assertEquals(text(reader.get("b")), "2");
    assert(Atomics.load === load);
    assertEquals(keys(reader.scan()), ["a", "b"]);
  }));

/** A runtime that counts the open files whose names end in `ending`. */
function countingRuntime(files: MemoryFileSystem, ending: string) {
  let open = 0;
  const runtime: Runtime = {
    ...runtimeOf(files),
    files: Object.assign(Object.create(files), {
      open: (path: string, mode: "read"): File => {
        const file = files.open(path, mode);
        if (!path.endsWith(ending)) return file;
        open++;
        return {
          path,
          readAt: (into, position) => file.readAt(into, position),
          writeAt: (bytes, position) => file.writeAt(bytes, position),
          size: () => file.size(),
          sync: () => file.sync(),
          syncNow: () => file.syncNow(),
          close: () => {
            open--;
            file.close();
          },
        };
      },
    }),
  };
  return { runtime, openFiles: () => open };
}

/** A runtime whose timers never come: of a thread that died. */
function silent(files: MemoryFileSystem): Runtime {
  return { ...runtimeOf(files), every: () => () => {} };
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 2000 && !holds(); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert(holds());
}

test(
  "a silent reader loses its snapshots, and reads on",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      const handle = db.share({ leaseSeconds: 0.12 });
      using alive = attachWith(runtimeOf(files), handle);
      using dead = attachWith(silent(files), handle);
      await db.put("a", "old");
      const kept = alive.snapshot();
      const lost = dead.snapshot();
      const scan = dead.scan();
      assertEquals(db.stats().openSnapshots, 3);
      await until(() => db.stats().openSnapshots === 1);
      await db.put("a", "new");
      await db.majorCompact();
      const error = throwsWith("CLOSED", () => lost.get("a"));
      assert(/expired/.test(error.message), error.message);
      throwsWith("CLOSED", () => lost.has("a"));
      throwsWith("CLOSED", () => lost.scan());
      throwsWith("CLOSED", () => [...scan]);
      assertEquals(text(kept.get("a")), "old");
      assertEquals(text(dead.get("a")), "new");
      const fresh = dead.snapshot();
      lost.close(); // Must not take the new one's place away.
      scan.close();
      await db.put("a", "newer");
      assertEquals(db.stats().openSnapshots, 2);
      assertEquals(text(fresh.get("a")), "new");
      fresh.close();
      kept.close();
      assertEquals(db.stats().openSnapshots, 0);
    }, SMALL),
);

test(
  "a reader whose lease had expired kept that of the next one by reading on",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      const handle = db.share({ leaseSeconds: 0.12 });
      const { control, memtablesMax, arenas } = handle;
      const block = new ControlBlock(control, memtablesMax, arenas.length);
      using stray = attachWith(silent(files), handle);
      await until(() => block.listLeases().length === 0);
      const dead = attachWith(silent(files), handle);
      dead.snapshot();
      await fill(db, 1);
      await db.flush();
      await until(() => {
        assertEquals(text(stray.get("key_0000")), "value");
        return db.stats().openSnapshots === 0;
      });
    }, SMALL),
);

test(
  "what a dead reader kept is compacted away",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      const dead = attachWith(silent(files), db.share({ leaseSeconds: 0.12 }));
      for (let i = 0; i < 100; i++) {
        await db.put(numbered("key", i), filled(50));
      }
      const snapshot = dead.snapshot();
      await db.deleteRange("a", "z");
      await db.put("z", "");
      await db.majorCompact();
      const before = db.stats().totalTableBytes;
      assertEquals(keys(snapshot.scan()).length, 100);
      await until(() => db.stats().openSnapshots === 0);
      await db.majorCompact();
      assertLess(db.stats().totalTableBytes, before / 4);
    }, SMALL),
);

test(
  "too many snapshots or readers are BUSY, and places come free again",
  LONG,
  () =>
    withReader(async (db, reader, files) => {
      await db.put("a", "1");
      const snapshots = Array.from({ length: 4096 }, () => reader.snapshot());
      throwsWith("BUSY", () => reader.snapshot());
      throwsWith("BUSY", () => reader.scan());
      assertEquals(text(reader.get("a")), "1");
      snapshots[77].close();
      assertEquals(keys(reader.scan()), ["a"]);
      for (const snapshot of snapshots) snapshot.close();
      assertEquals(db.stats().openSnapshots, 0);
      const readers: ReadonlyDb[] = [];
      throwsWith("BUSY", () => {
        for (let i = 0; i < 257; i++) {
          readers.push(attachWith(runtimeOf(files), db.share()));
        }
      });
      assertEquals(readers.length, 255);
      readers[3].close();
      attachWith(runtimeOf(files), db.share()).close();
      for (const other of readers) other.close();
    }),
);

test(
  "a manifest that is written afresh is followed",
  LONG,
  () =>
    withReader(async (db, reader, files) => {
      const manifest = () =>
        files.list(PATH).filter((name) => name.startsWith("MANIFEST"));
      const before = manifest();
      const value = "v";
      // A table with keys of 60 KiB makes an edit of 120 KiB.
      for (let i = 0; i < 14; i++) {
        await db.put("k".repeat(60_000) + i, value);
        await db.flush();
      }
      assert(
        manifest().join() !== before.join(),
        "the manifest is still the same",
      );
      assertEquals(rows(reader.scan()), rows(db.scan()));
      await db.put("z", "after");
      await db.flush();
      assertEquals(text(reader.get("z")), "after");
    }),
);

test("a table that is damaged is CORRUPTION for a reader too", () =>
  withReader(async (db, reader, files) => {
    await fill(db, 100);
    await db.flush();
    for (const name of files.list(PATH).filter((n) => n.endsWith("vtab"))) {
      files.writeFile(`${PATH}/${name}`, new Uint8Array(10));
    }
    throwsWith("CORRUPTION", () => reader.get("key_0001"));
    throwsWith("CORRUPTION", () => keys(reader.scan()));
  }));

test(
  "a reader lets go of files that are gone, though nobody reads",
  LONG,
  () =>
    withMemoryDb(async (db, files) => {
      const { runtime, openFiles } = countingRuntime(files, "vtab");
      using reader = attachWith(runtime, db.share({ leaseSeconds: 0.2 }));
      await fill(db, 300);
      await db.flush();
      const scan = reader.scan()[Symbol.iterator]();
      scan.next();
      assertGreater(openFiles(), 0);
      await db.clear();
      await db.put("other", "");
      await db.majorCompact();
      await until(() => openFiles() === 0);
      assertEquals(scan.next().done, false);
      scan.return();
    }, SMALL),
);

test("bad arguments of share() and attach()", () =>
  withMemoryDb(async (db, files) => {
    for (const leaseSeconds of [0, -1, NaN, 1e9, "1" as unknown as number]) {
      throwsWith("INVALID_ARGUMENT", () => db.share({ leaseSeconds }));
    }
    for (const options of [null, 5, "5", { leaseSecond: 5 }] as unknown[]) {
      throwsWith("INVALID_ARGUMENT", () => db.share(options as ShareOptions));
    }
    const handle = db.share();
    const bad: unknown[] = [
      undefined,
      null,
      {},
      "handle",
      { ...handle, format: 2 },
      { ...handle, control: new ArrayBuffer(8) },
      { ...handle, control: new SharedArrayBuffer(1 << 17) },
    ];
    for (const each of bad) {
      throwsWith(
        "INVALID_ARGUMENT",
        () => attachWith(runtimeOf(files), each as ShareHandle),
      );
    }
    const unordered = { keys: json<string>() };
    throwsWith(
      "INVALID_CONFIG",
      () => attachWith(runtimeOf(files), handle, unordered),
    );
    using reader = attachWith(runtimeOf(files), handle);
    throwsWith("INVALID_ARGUMENT", () => reader.get(7 as unknown as string));
    throwsWith("INVALID_ARGUMENT", () => reader.scan({ gt: "a", gte: "b" }));
    await db.put(bytes("a"), "b");
    assertEquals(text(reader.get(bytes("a"))), "b");
  }, SMALL));

test("nothing is set aside before share()", () =>
  withMemoryDb(async (db) => {
    const seen: number[] = [];
    const { store } = Atomics;
    Atomics.store = ((array: Int32Array, index: number, value: number) => {
      seen.push(index);
      return store(array, index, value);
    }) as typeof Atomics.store;
    await db.put("a", "b");
    const before = seen.length;
    const handle = db.share();
    seen.length = 0;
    await db.put("c", "d");
    Atomics.store = store;
    // The links of the node are what was stored before; then one word more.
    assertGreater(before, 0);
    const control = new ControlBlock(
      handle.control,
      handle.memtablesMax,
      handle.arenas.length,
    );
    assertEquals(control.sequenceLow(), db.stats().lastSequence);
    assertEquals(seen.at(-1), 2);
  }, SMALL));

test(
  "chunks and getInto() of a reader give what scans and get() give, whatever the owner does meanwhile",
  LONG,
  () =>
    withReader(async (db, reader) => {
      const random = new Random(12);
      const write = async (value: string) => {
        const i = random.below(300);
        if (random.chance(10)) await db.delete(numbered("key", i));
        else await db.put(numbered("key", i), value.repeat(random.below(20)));
        if (random.chance(3)) {
          await db.deleteRange(numbered("key", i), numbered("key", i + 4));
        }
        if (random.chance(8)) await db.flush();
        if (random.chance(3)) await db.majorCompact();
      };
      await fill(db, 300);
      const chunk = new Chunk(500);
      const target = new Uint8Array(200);
      for (let round = 0; round < 40; round++) {
        const options = { reverse: round % 2 === 1, limit: 20 + 10 * round };
        const expected = rows(db.scan(options));
        const found: [string, string][] = [];
        const reuse = round % 3 === 0 ? undefined : chunk;
        for (const part of reader.scan(options).chunks(reuse)) {
          for (let row = 0; row < part.length; row++) {
            found.push(...rows([[part.key(row), part.value(row)]]));
          }
          await write("abc");
        }
        assertEquals(found, expected);
        using snapshot = reader.snapshot();
        const key = numbered("key", random.below(300));
        for (const from of [reader, snapshot]) {
          const value = from.get(key);
          const length = from.getInto(key, target, 3);
          assertEquals(length, value?.length);
          if (value) assertEquals(target.slice(3, 3 + value.length), value);
          if (from === reader) await write("defg");
        }
      }
      throwsWith("INVALID_ARGUMENT", () => reader.getInto("a", target, 201));
      reader.close();
      throwsWith("CLOSED", () => reader.getInto("a", target));
    }),
);
