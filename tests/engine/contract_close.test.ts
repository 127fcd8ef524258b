/**
 * The contract of `close`, of closed handles, and of what outlives them.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { Batch, type Db } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../assert.ts";
import { VarveError } from "../../mod.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { filled, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { rejectsWith, throwsWith } from "./support/errors.ts";
import { openIn } from "./support/memory.ts";

const QUIET = { compaction: { background: "off" } } as const;

function openNew(): Promise<Db> {
  return openIn(new MemoryFileSystem(), QUIET);
}

test("every call on a closed handle is CLOSED", async () => {
  const db = await openNew();
  await db.put("a", "1");
  await db.close();
  throwsWith("CLOSED", () => db.get("a"));
  throwsWith("CLOSED", () => db.getMany(["a"]));
  throwsWith("CLOSED", () => db.getMany([]));
  throwsWith("CLOSED", () => db.has("a"));
  throwsWith("CLOSED", () => db.scan());
  throwsWith("CLOSED", () => db.snapshot());
  throwsWith("CLOSED", () => db.stats());
  await rejectsWith("CLOSED", () => db.put("a", "1"));
  await rejectsWith("CLOSED", () => db.delete("a"));
  await rejectsWith("CLOSED", () => db.deleteRange("a", "b"));
  await rejectsWith("CLOSED", () => db.clear());
  await rejectsWith("CLOSED", () => db.write(new Batch().put("a", "1")));
  await rejectsWith("CLOSED", () => db.write([]));
  await rejectsWith("CLOSED", () => db.flush());
  await rejectsWith("CLOSED", () => db.minorCompact());
  await rejectsWith("CLOSED", () => db.tombstoneCompact());
  await rejectsWith("CLOSED", () => db.majorCompact());
  await rejectsWith("CLOSED", () => db.sync());
});

test("a handle is CLOSED from the moment that close() is called", async () => {
  const db = await openNew();
  const closing = db.close();
  throwsWith("CLOSED", () => db.get("a"));
  await rejectsWith("CLOSED", () => db.put("a", "1"));
  await closing;
});

test("close() may be called again, also while it is under way", async () => {
  const db = await openNew();
  await db.put("a", "1");
  const results: unknown[] = await Promise.all([db.close(), db.close()]);
  assertEquals(results, [undefined, undefined]);
  await db.close();
});

test("close() resolves every write accepted before it", LONG, async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, { ...QUIET, writeBufferSize: 512 });
  const waiting: Promise<void>[] = [];
  for (let i = 0; i < 200; i++) {
    waiting.push(db.put(numbered("k", i), filled(50, i)));
  }
  waiting.push(db.write(new Batch().put("batch", "1")), db.delete("k_0007"));
  const closing = db.close();
  assertEquals(
    (await Promise.allSettled(waiting)).filter((w) => w.status === "rejected"),
    [],
  );
  await closing;
  await using again = await openIn(files.afterPowerLoss(), QUIET);
  assertEquals(rows(again.scan({ prefix: "batch" })).length, 1);
  for (let i = 0; i < 200; i++) {
    const expected = i === 7 ? undefined : filled(50, i);
    assertEquals(again.get(numbered("k", i)), expected);
  }
});

test(
  "everything accepted is durable after close(), also when buffered",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, { ...QUIET, durability: "buffered" });
    await db.put("awaited", "1");
    db.put("not awaited", "1");
    await db.close();
    const lost = files.afterPowerLoss();
    await using again = await openIn(lost, QUIET);
    assertEquals(rows(again.scan()), [["awaited", "1"], ["not awaited", "1"]]);
  },
);

test("sync() makes everything accepted so far durable, whatever its level", async () => {
  const files = new MemoryFileSystem();
  await using db = await openIn(files, { ...QUIET, durability: "buffered" });
  await db.put("awaited", "1");
  const waiting = db.put("not awaited", "1");
  await db.sync();
  const lost = files.afterPowerLoss();
  await waiting;
  await using again = await openIn(lost, QUIET);
  assertEquals(rows(again.scan()), [["awaited", "1"], ["not awaited", "1"]]);
});

test("a buffered write survives the process, and a synced one the machine", async () => {
  const files = new MemoryFileSystem();
  await using db = await openIn(files, QUIET);
  await db.put("synced", "1");
  await db.put("buffered", "1", { durability: "buffered" });
  await using afterDeath = await openIn(files.afterProcessDeath(), QUIET);
  assertEquals(rows(afterDeath.scan()).length, 2);
  await using afterPower = await openIn(files.afterPowerLoss(), QUIET);
  assertEquals(text(afterPower.get("synced")), "1");
});

test("a synced write makes the buffered ones before it durable", async () => {
  const files = new MemoryFileSystem();
  await using db = await openIn(files, { ...QUIET, durability: "buffered" });
  await db.put("first", "1");
  await db.put("second", "1", { durability: "sync" });
  await using again = await openIn(files.afterPowerLoss(), QUIET);
  assertEquals(rows(again.scan()).length, 2);
});

test("await using closes the handle", () =>
  withTempDir(async (dir) => {
    let escaped: Db;
    {
      await using db = await open(dir);
      await db.put("a", "1");
      escaped = db;
    }
    throwsWith("CLOSED", () => escaped.get("a"));
    await using again = await open(dir);
    assertEquals(text(again.get("a")), "1");
  }));

test(
  "a compaction under way at close() finishes or ends with ABORTED",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, { ...QUIET, durability: "buffered" });
    for (let table = 0; table < 4; table++) {
      for (let i = 0; i < 2000; i++) {
        db.put(numbered(`k${i}`, table), filled(100, i));
      }
      await db.flush();
    }
    const compacting = db.majorCompact().then(
      () => undefined,
      (error: unknown) => error,
    );
    await db.close();
    const outcome = await compacting;
    if (outcome !== undefined) {
      assertInstanceOf(outcome, VarveError);
      assertEquals(outcome.code, "ABORTED");
    }
    await using again = await openIn(files, QUIET);
    assertEquals([...again.scan().keys()].length, 8000);
  },
);

test(
  "a flush under way at close() is done by then, or done at the next opening",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    for (let i = 0; i < 500; i++) db.put(numbered("k", i), filled(100, i));
    const flushing = Promise.allSettled([db.flush()]);
    await db.close();
    const [outcome] = await flushing;
    if (outcome.status === "rejected") {
      assertInstanceOf(outcome.reason, VarveError);
      assert(["ABORTED", "CLOSED"].includes(outcome.reason.code));
    }
    await using again = await openIn(files.afterPowerLoss(), QUIET);
    assertEquals([...again.scan()].length, 500);
  },
);

test("a closed database leaves no operation behind", LONG, async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, { writeBufferSize: 512 });
  for (let i = 0; i < 100; i++) db.put(numbered("k", i), filled(100, i));
  await db.close();
  files.resetCounts();
  await new Promise((resolve) => setTimeout(resolve, 50));
  const total = Object.values(files.counts).reduce((sum, n) => sum + n, 0);
  assertEquals(total, 0);
});
