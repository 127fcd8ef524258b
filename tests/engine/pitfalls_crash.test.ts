/**
 * Crashes at every moment: before each operation that changes the disk, the
 * process dies or the power goes, and the database is opened on what is left.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import type { Options } from "../../mod.ts";
import { assert, assertEquals, assertGreater } from "../assert.ts";
import { numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import {
  imagesOf,
  noProgress,
  type Progress,
  runSteps,
  SWEEP_OPTIONS,
  violation,
} from "./support/crash_sweep.ts";
import { interceptedFiles, type Target } from "./support/intercepted_files.ts";
import { openIn } from "./support/memory.ts";
import { partialPowerLoss } from "./support/power_loss.ts";
import { Random } from "./support/random.ts";

const QUIET: Options = { compaction: { background: "off" } };

/** A crash, and how many steps its disk must hold at least. */
interface Crash {
  readonly name: string;
  readonly after: (files: MemoryFileSystem) => MemoryFileSystem;
  readonly least: (progress: Progress) => number;
}

const random = new Random(1);

const CRASHES: Crash[] = [
  {
    name: "the process dies",
    after: (files) => files.afterProcessDeath(),
    least: (progress) => progress.acknowledged,
  },
  {
    name: "the power goes",
    after: (files) => files.afterPowerLoss(),
    least: (progress) => progress.durable,
  },
  ...[1, 2, 3].map((n): Crash => ({
    name: `the power goes, and some of what was not synced survives (${n}),`,
    after: (files) => partialPowerLoss(files, random),
    least: (progress) => progress.durable,
  })),
];

for (const durability of ["sync", "buffered"] as const) {
  for (const { name, after, least } of CRASHES) {
    test(
      `pitfall: ${name} before any operation: nothing promised is lost, no half state, no orphan (${durability})`,
      LONG,
      async () => {
        const options: Options = { ...SWEEP_OPTIONS, durability };
        const images = await imagesOf(new MemoryFileSystem(), after, options);
        assertGreater(images.length, 100);
        for (const { moment, files, progress } of images) {
          const wrong = await violation(
            files,
            least(progress),
            progress.started,
          );
          assertEquals(wrong, undefined, moment);
        }
      },
    );
  }
}

/** Every kind of sync that the engine makes. */
const SYNCS: Target[] = ["log", "table", "manifest", "temporary", "directory"];

for (const kind of SYNCS) {
  test(
    `pitfall: without syncs of ${kind} a power loss does harm, so they are needed`,
    LONG,
    async () => {
      const files = new MemoryFileSystem();
      let skipped = 0;
      const through = interceptedFiles(files, {
        skipsSync(target) {
          if (target !== kind) return false;
          skipped++;
          return true;
        },
      });
      const images = await imagesOf(
        files,
        (disk) => disk.afterPowerLoss(),
        SWEEP_OPTIONS,
        through,
      );
      assertGreater(skipped, 0);
      const harmed: string[] = [];
      for (const image of images) {
        const { durable, started } = image.progress;
        const wrong = await violation(image.files, durable, started);
        if (wrong !== undefined) harmed.push(`${image.moment}: ${wrong}`);
      }
      assertGreater(harmed.length, 0);
    },
  );
}

test(
  "pitfall: what an open trusts is synced first: buffered data seen after a crash is not lost later",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    await using first = await openIn(files, {
      ...QUIET,
      durability: "buffered",
    });
    for (let i = 0; i < 10; i++) await first.put(numbered("k", i), "v");
    const dead = files.afterProcessDeath();
    await using second = await openIn(dead, QUIET);
    const seen = rows(second.scan());
    assertEquals(seen.length, 10);
    await second.put("another", "v");
    await using third = await openIn(dead.afterPowerLoss(), QUIET);
    assertEquals(rows(third.scan()), [["another", "v"], ...seen]);
  },
);

test(
  "pitfall: a crash during recovery, again and again, loses nothing",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    await using db = await openIn(files, { ...QUIET, writeBufferSize: 512 });
    for (let i = 0; i < 30; i++) await db.put(numbered("k", i), `v${i}`);
    const expected = rows(db.scan());
    // Each recovery dies a little later than the one before, and leaves its disk to the next.
    let disk = files.afterProcessDeath();
    for (let n = 0; n < 60; n++) {
      const current = disk;
      let operations = 0;
      current.onOperation = () => {
        if (operations++ !== n) return;
        disk = n % 2 === 0
          ? current.afterProcessDeath()
          : current.afterPowerLoss();
      };
      await using again = await openIn(current, QUIET);
      current.onOperation = undefined;
      assertEquals(rows(again.scan()), expected, `operation ${n}`);
    }
  },
);

test(
  "pitfall: sequences are never given twice, not even after a crash",
  LONG,
  async () => {
    let files = new MemoryFileSystem();
    let highest = 0;
    for (let life = 0; life < 6; life++) {
      await using db = await openIn(files, { ...QUIET, writeBufferSize: 512 });
      assert(db.stats().lastSequence >= highest);
      for (let i = 0; i < 10; i++) {
        const before = db.stats().lastSequence;
        await db.put("k", `${life}:${i}`);
        assertEquals(db.stats().lastSequence, before + 1);
      }
      if (life % 3 === 0) await db.majorCompact();
      highest = db.stats().lastSequence;
      assertEquals(text(db.get("k")), `${life}:9`);
      files = life % 2 === 0
        ? files.afterPowerLoss()
        : files.afterProcessDeath();
    }
  },
);

test(
  "pitfall: file numbers are never used twice, and logs are not recycled",
  LONG,
  async () => {
    let files = new MemoryFileSystem();
    const numbers = new Map<string, string>();
    const watch = (disk: MemoryFileSystem) => {
      disk.onOperation = (operation, path) => {
        const number = /\d{6,}/.exec(path)?.[0];
        if (operation !== "create" || number === undefined) return;
        assert(!numbers.has(number), `${path} after ${numbers.get(number)}`);
        numbers.set(number, path);
      };
    };
    for (let life = 0; life < 4; life++) {
      watch(files);
      await runSteps(files, noProgress());
      files = files.afterPowerLoss();
    }
    assertGreater(numbers.size, 40);
  },
);

test("pitfall: every kind of change is in the log", LONG, async () => {
  const files = new MemoryFileSystem();
  await using db = await openIn(files, QUIET);
  for (const key of "abcdefgh") await db.put(key, "old");
  await db.flush();
  await db.put("a", "new");
  await db.delete("b");
  await db.deleteRange("c", "d");
  await db.clear({ gte: "d", lte: "d" });
  await db.clear({ prefix: "e" });
  await db.write([
    { type: "put", key: "f", value: "new" },
    { type: "delete", key: "g" },
    { type: "deleteRange", start: "h", end: "i" },
  ]);
  const expected: [string, string][] = [["a", "new"], ["f", "new"]];
  assertEquals(rows(db.scan()), expected);
  const disk = files.afterPowerLoss();
  await using again = await openIn(disk, QUIET);
  assertEquals(rows(again.scan()), expected);
  await again.clear();
  await using third = await openIn(disk.afterPowerLoss(), QUIET);
  assertEquals(rows(third.scan()), []);
});

test(
  "pitfall: batches are whole or absent after a power loss at any moment",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    const disks: MemoryFileSystem[] = [];
    await using db = await openIn(files, { ...QUIET, writeBufferSize: 256 });
    files.onOperation = () => {
      disks.push(files.afterPowerLoss(), files.afterProcessDeath());
    };
    for (let round = 0; round < 6; round++) {
      await db.write(["a", "b", "c"].map((key) => ({
        type: "put" as const,
        key,
        value: `${round}`,
      })));
    }
    files.onOperation = undefined;
    for (const disk of disks) {
      await using again = await openIn(disk, QUIET);
      const values = new Set(rows(again.scan()).map(([, value]) => value));
      assert(values.size <= 1, [...values].join());
      assertEquals(rows(again.scan()).length % 3, 0);
    }
    assertGreater(disks.length, 20);
  },
);
