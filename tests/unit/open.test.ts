/**
 * Opening: what recovery makes of logs and numbers in the corners that the
 * engine's own tests do not come to.
 */
import { test } from "node:test";
import { resolveOptions } from "../../lib/options.ts";
import { replayLogs } from "../../lib/replay.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import { fileName, LOCK, parseFileName } from "../../lib/version/files.ts";
import { ManifestWriter } from "../../lib/version/manifest.ts";
import { TreeState } from "../../lib/version/state.ts";
import { VersionSet } from "../../lib/version/version_set.ts";
import type { Db } from "../../mod.ts";
import { assert, assertEquals, assertLess } from "../assert.ts";
import { filled, rows, text } from "../engine/support/bytes.ts";
import { LONG } from "../engine/support/configs.ts";
import { rejectsWith } from "../engine/support/errors.ts";
import { type FileKind, kindOf } from "../engine/support/files.ts";
import {
  damage,
  diskError,
  failOn,
  lose,
  namesIn,
  namesOf,
  openIn,
  PATH,
} from "../engine/support/memory.ts";
import { openWith } from "../open.ts";
import { LogWriter } from "../../lib/wal/writer.ts";
import { metaOf } from "./support/metas.ts";
import { countHandles } from "./support/open_handles.ts";
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

/** What is left of a creation that a crash cut short, by name. */
function leftovers(): [name: string, files: MemoryFileSystem][] {
  const withFile = (name: string, content: Uint8Array) => {
    const files = new MemoryFileSystem();
    files.makeDirectory(PATH);
    files.writeFile(`${PATH}/notes.txt`, filled(3));
    files.writeFile(`${PATH}/${name}`, content);
    return files;
  };
  const empty = newFiles();
  const manifest = new ManifestWriter(empty, "/db/MANIFEST-000002", 2);
  manifest.append({ nextFileNumber: 3 });
  manifest.close();
  const bytes = empty.readFile("/db/MANIFEST-000002");
  return [
    ["an empty log", withFile("000001.vlog", new Uint8Array(0))],
    ["a log without writes", withFile("000001.vlog", filled(36))],
    ["a manifest of nothing", withFile("MANIFEST-000002", bytes)],
    [
      "a manifest that was torn",
      withFile("MANIFEST-000002", bytes.subarray(0, 20)),
    ],
  ];
}

test("what a creation that was cut short left is no database, and none that is damaged", async () => {
  for (const [name, files] of leftovers()) {
    const before = namesIn(files);
    await rejectsWith(
      "NOT_FOUND",
      () => openIn(files, { ...QUIET, createIfMissing: false }),
    );
    assertEquals(
      namesIn(files).filter((other) => other !== LOCK),
      before,
      name,
    );
    const db = await openIn(files, QUIET);
    await db.put("a", "1");
    await db.close();
    const again = await openIn(files, { ...QUIET, createIfMissing: false });
    assertEquals(rows(again.scan()), [["a", "1"]], name);
    await again.close();
    assertEquals(files.readFile(`${PATH}/notes.txt`), filled(3), name);
  }
});

test("a manifest that says something, without CURRENT, is damage; one that cannot be read says so", async () => {
  const files = new MemoryFileSystem();
  const db = await openIn(files, QUIET);
  await db.put("a", "1");
  await db.flush();
  await db.close();
  for (const kind of ["log", "table"] as const) {
    for (const name of namesOf(files, kind)) lose(files, name);
  }
  lose(files, "CURRENT");
  const [manifest] = namesOf(files, "manifest");
  const error = await rejectsWith("CORRUPTION", () => openIn(files, QUIET));
  assert(error.message.includes(manifest), error.message);
  const fault = failOn(files, { operation: "read", kind: "manifest" });
  await rejectsWith("IO", () => openIn(files, QUIET));
  fault.stop();
  assertEquals(namesOf(files, "manifest"), [manifest]);
});

test("what the manifest says of files is held against them: each that is missing or of another size is damage", async () => {
  const made = new MemoryFileSystem();
  const db = await openIn(made, QUIET);
  await db.put("a", filled(500));
  await db.flush();
  await db.put("b", "2");
  await db.close();
  const cut = (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1);
  const grown = (bytes: Uint8Array) => Uint8Array.of(...bytes, 0);
  const changes: [FileKind, ((bytes: Uint8Array) => Uint8Array)?][] = [
    ["manifest"],
    ["table"],
    ["log"],
    ["table", cut],
    ["table", grown],
    ["log", cut],
  ];
  for (const [kind, change] of changes) {
    const files = made.afterProcessDeath();
    const [name] = namesOf(files, kind);
    if (change === undefined) lose(files, name);
    else damage(files, name, change);
    const before = namesIn(files);
    const open = countHandles(files);
    const error = await rejectsWith("CORRUPTION", () => openIn(files, QUIET));
    assert(error.message.includes(name), error.message);
    assertEquals(namesIn(files), before, name);
    assertEquals(open.count, 0, name);
  }
});

test("a log that the manifest does not name may hold nothing but what an opening wrote again", async () => {
  for (const isMadeAtOpen of [false, true]) {
    const files = new MemoryFileSystem();
    await (await openIn(files, QUIET)).close();
    const path = `${PATH}/${fileName("log", 50)}`;
    const log = LogWriter.create(files, path, {
      number: 50,
      previous: 0,
      lastSequenceBefore: 0,
      isMadeAtOpen,
    });
    log.close();
    await (await openIn(files.afterProcessDeath(), QUIET)).close();
    const key = filled(3);
    const again = files.readFile(path);
    files.writeFile(path, Uint8Array.of(...again, ...key));
    if (isMadeAtOpen) {
      const db = await openIn(files, QUIET);
      assertEquals(rows(db.scan()), []);
      assertEquals(files.stat(path), undefined);
      await db.close();
    } else {
      const error = await rejectsWith("CORRUPTION", () => openIn(files, QUIET));
      assert(error.message.includes("000050.vlog"), error.message);
      assertEquals(files.stat(path)?.size, 39);
    }
  }
});

test("behind a manifest whose end was torn no file is removed this time", async () => {
  const files = new MemoryFileSystem();
  await (await openIn(files, QUIET)).close();
  const orphan = `${PATH}/${fileName("table", 50)}`;
  files.writeFile(orphan, filled(9));
  const [manifest] = namesOf(files, "manifest");
  damage(files, manifest, (bytes) => Uint8Array.of(...bytes, 1, 2, 3));
  await (await openIn(files, QUIET)).close();
  assert(files.stat(orphan) !== undefined);
  await (await openIn(files, QUIET)).close();
  assertEquals(files.stat(orphan), undefined);
});

test("an opening that fails at any operation leaves no file open, and no lock", async () => {
  let made = new MemoryFileSystem();
  made = await dieAfter(made, async (db) => {
    await db.put("a", "1");
    await db.flush();
    await db.put("b", "2");
  });
  for (let nth = 0;; nth++) {
    const files = made.afterProcessDeath();
    const open = countHandles(files);
    let count = 0;
    files.onOperation = () => {
      if (count++ === nth) throw diskError();
    };
    const opened = await openIn(files, QUIET).catch((error) => {
      assertEquals(error.code, "IO", `${nth}`);
      assertEquals(open.count, 0, `${nth}`);
    });
    files.onOperation = undefined;
    await opened?.close();
    assertEquals(open.count, 0, `${nth}`);
    const db = await openIn(files, QUIET);
    assertEquals(rows(db.scan()), [["a", "1"], ["b", "2"]], `${nth}`);
    await db.close();
    if (count <= nth) break;
  }
});

test("slashes at the end of a path do not count, and nothing but slashes is the root", async () => {
  const files = new MemoryFileSystem();
  const runtime = { ...memoryRuntime(), files };
  const db = await openWith(runtime, `${PATH}//`, QUIET);
  await rejectsWith("LOCKED", () => openWith(runtime, PATH, QUIET));
  await db.close();
  for (const path of ["/", "///"]) {
    const root = await openWith(runtime, path, QUIET);
    await root.close();
    assert(files.list("/").includes("CURRENT"), path);
  }
});

test("what cannot be opened is refused before anything is made", async () => {
  const files = new MemoryFileSystem();
  const runtime = { ...memoryRuntime(), files };
  for (const path of ["", undefined as unknown as string]) {
    await rejectsWith("INVALID_ARGUMENT", () => openWith(runtime, path));
  }
  const absent = { ...QUIET, createIfMissing: false };
  await rejectsWith("NOT_FOUND", () => openIn(files, absent));
  assertEquals(files.stat(PATH), undefined);
  files.makeDirectory(PATH);
  await rejectsWith("NOT_FOUND", () => openIn(files, absent));
  assertEquals(namesIn(files), []);
  files.writeFile(`${PATH}/file`, filled(3));
  await rejectsWith("IO", () => openWith(runtime, `${PATH}/file`));
  assertEquals(files.readFile(`${PATH}/file`), filled(3));
  await (await openIn(files, QUIET)).close();
  const before = namesIn(files);
  await rejectsWith(
    "EXISTS",
    () => openIn(files, { ...QUIET, errorIfExists: true }),
  );
  assertEquals(namesIn(files), before);
});

test("tables, or a log with writes, without CURRENT are a damaged database and not a new one", async () => {
  for (const kind of ["table", "log"] as const) {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    await db.put("a", "1");
    if (kind === "table") await db.flush();
    await db.close();
    for (const name of namesIn(files)) {
      if (kindOf(name) !== kind) lose(files, name);
    }
    const before = namesOf(files, kind);
    const error = await rejectsWith("CORRUPTION", () => openIn(files, QUIET));
    assert(error.message.includes(before[0]), error.message);
    assertEquals(namesOf(files, kind), before);
    assertEquals(namesOf(files, "current"), []);
  }
});
