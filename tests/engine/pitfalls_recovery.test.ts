/**
 * Disks that are damaged while the database is closed: what is a lost tail,
 * what is `CORRUPTION`, and that nothing is ever deleted or made up.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { type Options, VarveError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "../assert.ts";
import { numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { rejectsWith } from "./support/errors.ts";
import {
  closeQuietly,
  damage,
  failOn,
  lengthOfGroups,
  lose,
  namesIn,
  namesOf,
  openIn,
  PATH,
} from "./support/memory.ts";
import type { FileKind } from "./support/files.ts";

const QUIET: Options = { compaction: { background: "off" } };

/** A disk on which two tables, and some writes in the log alone, lie. */
async function filledDisk(): Promise<MemoryFileSystem> {
  const files = new MemoryFileSystem();
  const db = await openIn(files, QUIET);
  for (let table = 0; table < 2; table++) {
    for (let i = 0; i < 10; i++) {
      await db.put(numbered("k", i * 2 + table), `${table}`);
    }
    await db.flush();
  }
  for (let i = 0; i < 5; i++) await db.put(numbered("log", i), "v");
  const disk = files.afterProcessDeath();
  await closeQuietly(db);
  return disk;
}

const EXPECTED_ROWS = 25;

/** Everything on a disk, byte for byte. */
function contentOf(files: MemoryFileSystem): Map<string, string> {
  const content = new Map<string, string>();
  for (const name of namesIn(files)) {
    if (name === "LOCK") continue;
    content.set(name, String(files.readFile(`${PATH}/${name}`)));
  }
  return content;
}

/** Opening must fail with CORRUPTION, name the file, and change nothing. */
async function expectCorruption(
  files: MemoryFileSystem,
  about: string,
): Promise<VarveError> {
  const before = contentOf(files);
  const error = await rejectsWith("CORRUPTION", () => openIn(files, QUIET));
  assertEquals(contentOf(files), before, `${about}: the disk was changed`);
  return error;
}

const CURRENT_DAMAGE: [
  name: string,
  damage: (bytes: Uint8Array) => Uint8Array,
][] = [
  ["empty", () => new Uint8Array(0)],
  ["cut short", (bytes) => bytes.slice(0, -3)],
  ["all zeros", (bytes) => new Uint8Array(bytes.length)],
  ["with one bit changed", (bytes) => bytes.with(bytes.length >> 1, 0x21)],
  ["longer than it was", (bytes) => Uint8Array.of(...bytes, 10)],
  ["of another manifest", (bytes) => {
    return new TextEncoder().encode(
      new TextDecoder().decode(bytes).replace(/\d/, "9"),
    );
  }],
];

for (const [name, change] of CURRENT_DAMAGE) {
  test(
    `pitfall: CURRENT ${name} is CORRUPTION, and nothing is deleted`,
    LONG,
    async () => {
      const disk = await filledDisk();
      damage(disk, "CURRENT", change);
      const error = await expectCorruption(disk, name);
      assertStringIncludes(error.message, "CURRENT");
    },
  );
}

test(
  "pitfall: a missing CURRENT beside tables is CORRUPTION, not an empty database",
  LONG,
  async () => {
    const disk = await filledDisk();
    lose(disk, "CURRENT");
    await expectCorruption(disk, "missing CURRENT");
    await rejectsWith(
      "CORRUPTION",
      () => openIn(disk, { createIfMissing: false }),
    );
  },
);

test(
  "pitfall: a missing CURRENT beside a log with writes is CORRUPTION",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    await db.put("only in", "the log");
    const disk = files.afterPowerLoss();
    await db.close();
    lose(disk, "CURRENT");
    await expectCorruption(disk, "missing CURRENT, log only");
  },
);

for (const kind of ["manifest", "table", "log"] as const) {
  test(
    `pitfall: a missing ${kind} is CORRUPTION, and nothing is deleted`,
    LONG,
    async () => {
      const whole = await filledDisk();
      const names = namesOf(whole, kind);
      assertGreater(names.length, 0);
      for (const name of names) {
        const disk = whole.afterProcessDeath();
        lose(disk, name);
        const error = await expectCorruption(disk, name);
        assertStringIncludes(error.message, name);
      }
    },
  );

  test(
    `pitfall: an empty ${kind} is CORRUPTION, and nothing is deleted`,
    LONG,
    async () => {
      const whole = await filledDisk();
      for (const name of namesOf(whole, kind)) {
        const disk = whole.afterProcessDeath();
        damage(disk, name, () => new Uint8Array(0));
        await expectCorruption(disk, name);
      }
    },
  );
}

test(
  "pitfall: CORRUPTION says file, offset, what was expected and what was found",
  LONG,
  async () => {
    const disk = await filledDisk();
    const [table] = namesOf(disk, "table");
    damage(disk, table, (bytes) => bytes.slice(0, bytes.length >> 1));
    const error = await expectCorruption(disk, table);
    assertStringIncludes(error.message, table);
    assertMatch(error.message, /offset \d+/);
    assertMatch(error.message, /expected .+ found .+/);
  },
);

/** The same rows, all of them in tables: the log is empty. */
async function flushedDisk(): Promise<MemoryFileSystem> {
  const disk = await filledDisk();
  for (let life = 0; life < 2; life++) {
    const db = await openIn(disk, QUIET);
    await db.flush();
    await db.close();
  }
  return disk;
}

/** A disk with several logs: memtables that could not be flushed. */
async function diskWithLogs(logs: number): Promise<MemoryFileSystem> {
  const files = new MemoryFileSystem();
  const db = await openIn(files, {
    ...QUIET,
    writeBufferSize: 512,
    maxFrozenMemtables: 16,
  });
  failOn(files, { operation: "create", kind: "table" });
  for (let i = 0; namesOf(files, "log").length < logs; i++) {
    await db.put("k", `v${i}`);
    await db.put(numbered("k", i), `v${i}`);
  }
  await db.put("last", "v");
  const disk = files.afterPowerLoss();
  await closeQuietly(db);
  return disk;
}

const DISKS: [name: string, make: () => Promise<MemoryFileSystem>][] = [
  ["with writes in the log", filledDisk],
  ["with everything in tables", flushedDisk],
  ["with several logs", () => diskWithLogs(3)],
];

for (const [name, make] of DISKS) {
  test(
    `pitfall: a manifest cut anywhere is whole or CORRUPTION, never an emptier database (${name})`,
    LONG,
    async () => {
      const whole = await make();
      const intact = await openIn(whole.afterProcessDeath(), QUIET);
      const expected = rows(intact.scan());
      await intact.close();
      const [manifest] = namesOf(whole, "manifest");
      const size = whole.readFile(`${PATH}/${manifest}`).length;
      for (let length = 0; length < size; length++) {
        const disk = whole.afterProcessDeath();
        damage(disk, manifest, (bytes) => bytes.slice(0, length));
        const before = contentOf(disk);
        const opened = await openIn(disk, QUIET).catch((error) => error);
        if (opened instanceof Error) {
          assertInstanceOf(opened, VarveError);
          assertEquals(opened.code, "CORRUPTION", `cut at ${length}`);
          assertEquals(contentOf(disk), before, `cut at ${length}`);
        } else {
          assertEquals(rows(opened.scan()), expected, `cut at ${length}`);
          await opened.close();
        }
      }
    },
  );
}

test(
  "pitfall: a torn last edit of the manifest, of which nothing came, is left out",
  LONG,
  async () => {
    const disk = await filledDisk();
    const [manifest] = namesOf(disk, "manifest");
    damage(
      disk,
      manifest,
      (bytes) => Uint8Array.of(...bytes, 1, 2, 3, 4, 5, 6),
    );
    const orphan = "000900.vtab";
    disk.writeFile(`${PATH}/${orphan}`, Uint8Array.of(1));
    await using db = await openIn(disk, QUIET);
    assertEquals(rows(db.scan()).length, EXPECTED_ROWS);
    // Were it damage and no crash, the file might be wanted: it stays for now.
    assert(namesIn(disk).includes(orphan));
    await db.put("after", "v");
    await db.flush();
    const lost = disk.afterPowerLoss();
    await using again = await openIn(lost, QUIET);
    assertEquals(rows(again.scan()).length, EXPECTED_ROWS + 1);
    assert(!namesIn(lost).includes(orphan));
  },
);

/** Every byte of a kind of file, damaged in one way. */
async function sweep(
  whole: MemoryFileSystem,
  kind: FileKind,
  step: number,
  check: (disk: MemoryFileSystem, at: number, size: number) => Promise<void>,
): Promise<void> {
  for (const name of namesOf(whole, kind)) {
    const size = kind === "log"
      ? lengthOfGroups(whole, name)
      : whole.readFile(`${PATH}/${name}`).length;
    for (let at = 0; at < size; at += step) {
      const disk = whole.afterProcessDeath();
      damage(disk, name, (bytes) => void (bytes[at] ^= 0x40));
      await check(disk, at, size);
    }
  }
}

test(
  "pitfall: a damaged byte in a log costs at most its newest record, and is reported",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    const [log] = namesOf(files, "log");
    let lastRecord = 0;
    for (let i = 0; i < 6; i++) {
      lastRecord = lengthOfGroups(files, log);
      await db.put(numbered("k", i), "v");
    }
    const whole = files.afterPowerLoss();
    await db.close();
    await sweep(whole, "log", 1, async (disk, at, size) => {
      if (at < lastRecord) {
        // All of it was synced: the records behind it say so.
        await expectCorruption(disk, `byte ${at}`);
        return;
      }
      await using again = await openIn(disk, QUIET);
      assertEquals(rows(again.scan()).length, 5, `byte ${at}`);
      assertEquals(again.stats().wal.lostTailBytes, size - lastRecord);
    });
  },
);

test(
  "pitfall: damage in a table is found, whichever byte it hits",
  LONG,
  async () => {
    const whole = await filledDisk();
    await sweep(whole, "table", 5, async (disk, at) => {
      const tables = namesOf(disk, "table");
      const db = await openIn(disk, QUIET).catch((error) => error);
      let error: unknown = db;
      if (!(db instanceof Error)) {
        try {
          assertEquals(rows(db.scan()).length, EXPECTED_ROWS, `byte ${at}`);
          for (let i = 0; i < 20; i++) {
            assertEquals(text(db.get(numbered("k", i))), `${i % 2}`);
          }
          error = undefined;
        } catch (thrown) {
          error = thrown;
        }
        await closeQuietly(db);
      }
      if (error !== undefined) {
        assertInstanceOf(error, VarveError, `byte ${at}: ${error}`);
        assertEquals(error.code, "CORRUPTION", `byte ${at}`);
      }
      const after = namesOf(disk, "table");
      assert(tables.every((name) => after.includes(name)));
    });
  },
);

test(
  "pitfall: a table under another's name is CORRUPTION once it is read",
  LONG,
  async () => {
    const disk = await filledDisk();
    const [first, second] = namesOf(disk, "table");
    // Both of one size, so that only what is inside can tell them apart.
    const other = disk.readFile(`${PATH}/${second}`);
    assertEquals(other.length, disk.readFile(`${PATH}/${first}`).length);
    damage(disk, first, () => other);
    await rejectsWith("CORRUPTION", async () => {
      await using db = await openIn(disk, QUIET);
      rows(db.scan());
    });
    assertEquals(namesOf(disk, "table"), [first, second]);
  },
);

test(
  "pitfall: several logs are replayed in the order of their numbers",
  LONG,
  async () => {
    const disk = await diskWithLogs(12);
    // The directory lists the newest first.
    const list = disk.list.bind(disk);
    disk.list = (directory) => list(directory).sort().reverse();
    await using db = await openIn(disk, QUIET);
    const numbers = rows(db.scan({ prefix: "k_" }));
    assertGreaterOrEqual(numbers.length, 12);
    assertEquals(text(db.get("k")), numbers.at(-1)?.[1]);
    assertEquals(text(db.get("last")), "v");
  },
);

test(
  "pitfall: a lost or damaged older log is a hole, so CORRUPTION",
  LONG,
  async () => {
    const whole = await diskWithLogs(3);
    const logs = namesOf(whole, "log");
    for (const name of logs.slice(0, -1)) {
      const lost = whole.afterProcessDeath();
      lose(lost, name);
      await expectCorruption(lost, `lost ${name}`);
      const size = lengthOfGroups(whole, name);
      for (let at = 0; at < size; at += 3) {
        const cut = whole.afterProcessDeath();
        damage(cut, name, (bytes) => bytes.slice(0, at));
        await expectCorruption(cut, `${name} cut at ${at}`);
        const changed = whole.afterProcessDeath();
        damage(changed, name, (bytes) => void (bytes[at] ^= 0x04));
        await expectCorruption(changed, `${name} changed at ${at}`);
      }
    }
    const newest = logs.at(-1) ?? "";
    const lost = whole.afterProcessDeath();
    lose(lost, newest);
    await expectCorruption(lost, "lost newest");
  },
);

test("pitfall: a read error is not the end of a log", LONG, async () => {
  const disk = await filledDisk();
  for (const kind of ["log", "manifest", "current"] as const) {
    const before = contentOf(disk);
    const fault = failOn(disk, { operation: "read", kind }, 1);
    await rejectsWith("IO", () => openIn(disk, QUIET));
    assertEquals(fault.count, 1);
    fault.stop();
    assertEquals(contentOf(disk), before);
  }
  await using db = await openIn(disk, QUIET);
  assertEquals(rows(db.scan()).length, EXPECTED_ROWS);
});

test(
  "pitfall: the lost tail is reported in bytes, and only once",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    await db.put("a", "1");
    const disk = files.afterPowerLoss();
    await db.close();
    const [log] = namesOf(disk, "log");
    const tail = Uint8Array.of(7, 7, 7, 7, 7, 7, 7);
    damage(disk, log, (bytes) => Uint8Array.of(...bytes, ...tail));
    const again = await openIn(disk, QUIET);
    assertEquals(again.stats().wal.lostTailBytes, tail.length);
    assertEquals(rows(again.scan()), [["a", "1"]]);
    await again.close();
    await using third = await openIn(disk, QUIET);
    assertEquals(third.stats().wal.lostTailBytes, 0);
    assertEquals(rows(third.scan()), [["a", "1"]]);
  },
);

test(
  "pitfall: orphans are removed at open, and foreign files are not",
  LONG,
  async () => {
    const disk = await filledDisk();
    const foreign = ["notes.txt", "000001.vtab.bak", "x000009.vtab", "9.vtab"];
    const orphans = ["000777.vtab", "MANIFEST-000778", "CURRENT.tmp"];
    for (const name of [...foreign, ...orphans]) {
      disk.writeFile(`${PATH}/${name}`, Uint8Array.of(1, 2, 3));
    }
    await using db = await openIn(disk, QUIET);
    const left = namesIn(disk);
    assert(foreign.every((name) => left.includes(name)));
    assert(!orphans.some((name) => left.includes(name)), left.join());
    assertEquals(rows(db.scan()).length, EXPECTED_ROWS);
    // Numbers that were seen on disk are not given again.
    await db.put("more", "v");
    await db.flush();
    const highest = namesOf(disk, "table").sort().at(-1) ?? "";
    assertGreater(Number.parseInt(highest), 778);
  },
);

test(
  "pitfall: a torn record with a large value does not make open hang",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const db = await openIn(files, QUIET);
    await db.put("before", "1");
    // Small numbers of 64 bits look, wherever one starts, like plausible headers.
    const value = new Uint8Array(new BigUint64Array(1 << 18).fill(40n).buffer);
    await db.put("large", value);
    const disk = files.afterPowerLoss();
    await db.close();
    const [log] = namesOf(disk, "log");
    damage(disk, log, (bytes) => bytes.slice(0, -5));
    const start = performance.now();
    await using again = await openIn(disk, QUIET);
    assertEquals(rows(again.scan()), [["before", "1"]]);
    // Reading 2 MiB takes milliseconds; checking it from every byte on, half a minute.
    assertLess(performance.now() - start, 10_000);
  },
);
