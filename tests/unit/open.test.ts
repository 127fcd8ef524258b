/**
 * Opening: what recovery makes of logs and numbers in the corners that the
 * engine's own tests do not come to.
 */
import { test } from "node:test";
import { resolveOptions } from "../../lib/options.ts";
import { replayLogs } from "../../lib/replay.ts";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { fileName, parseFileName } from "../../lib/version/files.ts";
import { TreeState } from "../../lib/version/state.ts";
import { VersionSet } from "../../lib/version/version_set.ts";
import type { Db } from "../../mod.ts";
import { assert, assertEquals, assertLess } from "../assert.ts";
import { filled, rows, text } from "../engine/support/bytes.ts";
import { LONG } from "../engine/support/configs.ts";
import { namesOf, openIn, PATH } from "../engine/support/memory.ts";
import { metaOf } from "./support/metas.ts";
import { newContext, newFiles } from "./support/tables.ts";

const QUIET = { compaction: { background: "off" } } as const;

test("sequences with a hole outlive recoveries: the numbers of lost writes stay burned", async () => {
  let files = new MemoryFileSystem();
  let db = await openIn(files, QUIET);
  await db.put("a", "1");
  const flushed = db.flush();
  await db.put("b", "1"); // Synced, in the new log.
  db.put("lost", "1", { durability: "buffered" });
  await flushed; // The manifest knows the number of the lost write now.
  const burned = db.stats().lastSequence;
  files = files.afterPowerLoss();
  db = await openIn(files, QUIET);
  assertEquals(rows(db.scan()), [["a", "1"], ["b", "1"]]);
  await db.put("c", "1");
  const { lastSequence } = db.stats();
  assertEquals(lastSequence, burned + 1);
  files = files.afterProcessDeath(); // Its log is not sealed: written again.
  db = await openIn(files, QUIET);
  assertEquals(db.stats().lastSequence, lastSequence);
  await db.close(); // Sealed, with the last sequence in it.
  db = await openIn(files, QUIET);
  assertEquals(rows(db.scan()), [["a", "1"], ["b", "1"], ["c", "1"]]);
  assertEquals(db.stats().lastSequence, lastSequence);
  await db.close();
});

test("the numbers of files seen in the directory are never given again, and work however large", async () => {
  for (const number of [5000, 2 ** 32 - 3, 2 ** 32 + 5, 2 ** 40]) {
    const files = new MemoryFileSystem();
    await (await openIn(files, QUIET)).close();
    files.writeFile(`${PATH}/${fileName("log", number)}`, new Uint8Array(0));
    for (let life = 0; life < 3; life++) {
      const db = await openIn(files, QUIET);
      await db.put(`life ${life}`, "v");
      assertEquals(await db.flush(), 1, `number ${number}, life ${life}`);
      await db.close();
    }
    const db = await openIn(files, QUIET);
    assertEquals([...db.scan().keys()].length, 3, `number ${number}`);
    await db.close();
    const numbers = files.list(PATH).flatMap((name) => {
      const file = parseFileName(name);
      return file === undefined ? [] : [file.number];
    });
    assert(numbers.every((other) => other > number), `${number}: ${numbers}`);
  }
});

test("a name with a number that no file of the engine can have is not the engine's", async () => {
  const files = new MemoryFileSystem();
  await (await openIn(files, QUIET)).close();
  const names = ["281474976710656.vlog", "999999999999999.vtab"];
  for (const name of names) files.writeFile(`${PATH}/${name}`, filled(3));
  for (let life = 0; life < 3; life++) {
    const db = await openIn(files, QUIET);
    await db.put(`life ${life}`, "v");
    assertEquals(await db.flush(), 1, `life ${life}`);
    await db.close();
  }
  for (const name of names) {
    assertEquals(files.readFile(`${PATH}/${name}`), filled(3), name);
  }
});

test("write buffers of every size are whole words", LONG, async () => {
  for (const writeBufferSize of [128, 129, 130, 131, 1001, 4099]) {
    const db = await openIn(new MemoryFileSystem(), {
      ...QUIET,
      writeBufferSize,
    });
    for (let i = 0; i < 40; i++) {
      await db.put(`k${i}`, filled(writeBufferSize + i, i));
    }
    for (let i = 0; i < 40; i++) {
      assertEquals(db.get(`k${i}`), filled(writeBufferSize + i, i));
    }
    await db.close();
  }
});

/** A process that dies again and again, having written one thing each time. */
async function dieAfter(
  files: MemoryFileSystem,
  body: (db: Db) => Promise<unknown>,
): Promise<MemoryFileSystem> {
  const db = await openIn(files, QUIET);
  await body(db);
  return files.afterProcessDeath();
}

test(
  "many deaths in a row: every write is there, in one log, not in ever more",
  LONG,
  async () => {
    let files = new MemoryFileSystem();
    for (let life = 0; life < 30; life++) {
      files = await dieAfter(files, async (db) => {
        assertEquals([...db.scan().keys()].length, life);
        await db.put(`k${life}`, `${life}`);
      });
      assertLess(namesOf(files, "log").length, 3, `life ${life}`);
    }
    const db = await openIn(files, QUIET);
    for (let life = 0; life < 30; life++) {
      assertEquals(text(db.get(`k${life}`)), `${life}`);
    }
    await db.close();
  },
);

test(
  "an opening that dies at any operation leaves what the next one needs",
  LONG,
  async () => {
    let before = new MemoryFileSystem();
    before = await dieAfter(before, async (db) => {
      await db.put("a", "1");
      await db.flush();
      await db.put("b", "2");
      await db.deleteRange("c", "d");
    });
    for (const crash of ["afterProcessDeath", "afterPowerLoss"] as const) {
      for (let nth = 0;; nth++) {
        const files = before.afterProcessDeath();
        let image: MemoryFileSystem | undefined;
        let count = 0;
        files.onOperation = () => {
          if (count++ === nth) image = files[crash]();
        };
        const db = await openIn(files, QUIET);
        files.onOperation = undefined;
        await db.close();
        if (image === undefined) break;
        const again = await openIn(image, QUIET);
        const expected = [["a", "1"], ["b", "2"]];
        assertEquals(
          rows(again.scan()),
          expected as [string, string][],
          `${crash} ${nth}`,
        );
        await again.close();
      }
    }
  },
);

test("a tree of more tables than a call takes arguments is opened", () => {
  const files = newFiles();
  const state = new TreeState();
  for (let number = 1; number <= 200_000; number++) {
    const table = metaOf({ number, newest: 2 * number });
    state.tables.set(number, { level: 6, table });
  }
  const versions = new VersionSet("/db", new TreeState(), newContext(files));
  const { options } = resolveOptions({});
  const { log, lastSequence } = replayLogs(files, versions, state, options);
  log.close();
  assertEquals(lastSequence, 400_000);
});
