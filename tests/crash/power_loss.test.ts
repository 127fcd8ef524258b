/**
 * Crashes at every operation on the disk, syncs that are left out, and
 * operations that fail, one by one.
 *
 * @module
 */
import { test } from "node:test";
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { pause } from "../../lib/runtime/pause.ts";
import type { Options } from "../../mod.ts";
import { assert, assertEquals, assertGreater } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { openIn, PATH } from "../engine/support/memory.ts";
import { Random } from "../engine/support/random.ts";
import { Disk, type DiskOptions, type SyncSite } from "./support/disk.ts";
import {
  type Crash,
  examine,
  judge,
  Ledger,
  type Look,
  lookAt,
  type Window,
} from "./support/ledger.ts";
import {
  MIXED,
  openOn,
  type Scenario,
  SLOW_SYNCS,
} from "./support/scenarios.ts";

/** A disk as a crash at one moment left it, and what it may hold. */
interface Image {
  readonly moment: string;
  readonly files: MemoryFileSystem;
  readonly window: Window;
  readonly crash: Crash;
  readonly options: Options;
}

/** Operations that change nothing: a crash before one is the crash before the next. */
const HARMLESS = new Set(["open", "read", "list", "lock"]);

/** Options under which opening writes little of its own. */
const READING: Options = {
  writeBufferSize: 64 * 1024,
  blockCacheSize: 4096,
  compaction: { background: "off" },
};

/** What an opening showed, and what a loss of power right after it leaves. */
interface Opening {
  readonly look: Look;
  readonly left: MemoryFileSystem;
}

/**
 * Opens the disks of one workload, and those alike once: between two syncs a
 * loss of power often leaves the same, and an opening depends on nothing but
 * the disk and the options. What may be there is judged for each.
 */
class Openings {
  readonly #known: Map<string, Opening> = new Map();

  async of(
    files: MemoryFileSystem,
    crash: Crash,
    ledger: Ledger,
    options: Options,
  ): Promise<Opening> {
    // What a dead process left differs in what is not synced, too.
    if (crash === "process death") return await open(files, ledger, options);
    const disk = `${JSON.stringify(options)} ${contentOf(files)}`;
    let opening = this.#known.get(disk);
    if (opening === undefined) {
      opening = await open(files, ledger, options);
      this.#known.set(disk, opening);
    }
    return opening;
  }
}

async function open(
  files: MemoryFileSystem,
  ledger: Ledger,
  options: Options,
): Promise<Opening> {
  const look = await lookAt(files, ledger, options);
  return { look, left: files.afterPowerLoss() };
}

const decoder = new TextDecoder("latin1");

/** Every name and byte, in the order of the directory. */
function contentOf(files: MemoryFileSystem): string {
  if (files.stat(PATH) === undefined) return "no directory";
  return files.list(PATH).map((name) => {
    const bytes = files.readFile(`${PATH}/${name}`);
    return `${name} ${bytes.length} ${decoder.decode(bytes)}`;
  }).join("\n");
}

/** Runs a scenario and crashes before every change of its disk. */
async function crashEverywhere(
  scenario: Scenario,
  diskOptions: DiskOptions,
  seed: number,
  handle: (image: Image, ledger: Ledger) => Promise<void>,
): Promise<Disk> {
  const ledger = new Ledger();
  const random = new Random(seed);
  const images: Image[] = [];
  const capture = (moment: string) => {
    const add = (crash: Crash, files: MemoryFileSystem) =>
      images.push({
        moment: `${moment} (${crash})`,
        files,
        crash,
        window: ledger.window(crash),
        options: images.length % 4 === 0 ? scenario.options : READING,
      });
    add("process death", disk.afterProcessDeath());
    add("power loss", disk.afterPowerLoss());
    for (let n = 0; n < 2 && disk.isUnsynced; n++) {
      add("power loss", disk.afterChaos(random));
    }
  };
  let count = 0;
  const disk = new Disk(new MemoryFileSystem(), {
    syncDelay: async () => {
      for (let n = random.below(scenario.slowness); n > 0; n--) await pause();
    },
    ...diskOptions,
    onEvent({ operation, path, site }) {
      if (HARMLESS.has(operation)) return;
      capture(`${count++}: ${operation} ${path} ${site ?? ""}`);
    },
  });
  await scenario.run(disk, ledger);
  capture("the end");
  for (const image of images) await handle(image, ledger);
  return disk;
}

for (const scenario of [MIXED, SLOW_SYNCS]) {
  for (const seed of [1, 2]) {
    test(
      `crash: ${scenario.name}: before any operation, nothing promised is lost (seed ${seed})`,
      LONG,
      async () => {
        let images = 0;
        const openings = new Openings();
        await crashEverywhere(
          scenario,
          {},
          seed,
          async ({ files, window, moment, options, crash }, ledger) => {
            images++;
            const opening = await openings.of(files, crash, ledger, options);
            const { wrong, there } = judge(opening.look, ledger, window);
            assertEquals(wrong, undefined, moment);
            // What an opening has shown is durable: it outlives the next loss.
            const { left } = opening;
            const next = await openings.of(left, "power loss", ledger, options);
            const again = judge(next.look, ledger, {
              first: there,
              last: there,
            });
            assertEquals(again.wrong, undefined, `${moment}, then power loss`);
          },
        );
        assertGreater(images, 1000);
      },
    );
  }
}

/**
 * Every place where the engine syncs; the tests below show of each that it
 * counts. A log that is made at opening needs no sync of the directory of its
 * own: the one after the manifest comes before CURRENT names it.
 */
const ALL_SITES: readonly SyncSite[] = [
  "header of a log",
  "log, for acknowledgements",
  "log, before the next one",
  "log, written again at opening",
  "table",
  "new manifest",
  "edit of the manifest",
  "CURRENT",
  "directory, after a log",
  "directory, after a manifest",
  "directory, after CURRENT",
  "directory, after a table",
  "directory of the directory",
];

for (const site of ALL_SITES) {
  test(`crash: the sync of "${site}" counts`, LONG, async () => {
    const harmed: string[] = [];
    let seed = 0;
    for (; harmed.length === 0 && seed < 4; seed++) {
      const openings = new Openings();
      const disk = await crashEverywhere(
        MIXED,
        { ignores: (other) => other === site },
        seed,
        async ({ files, window, moment, options, crash }, ledger) => {
          if (harmed.length > 0) return;
          const { look } = await openings.of(files, crash, ledger, options);
          const { wrong } = judge(look, ledger, window);
          if (wrong !== undefined) harmed.push(`${moment}: ${wrong}`);
        },
      );
      assertGreater(disk.syncs.get(site) ?? 0, 0, "it was never asked for");
    }
    assertGreater(harmed.length, 0, "leaving it out did no harm");
  });
}

test("crash: there is no other sync", LONG, async () => {
  const disk = await crashEverywhere(MIXED, {}, 1, () => Promise.resolve());
  assertEquals([...disk.syncs.keys()].sort(), ALL_SITES.toSorted());
});

test(
  "crash: a crash during the recovery from a crash changes nothing",
  LONG,
  async () => {
    let recoveries = 0;
    let crashes = 0;
    await crashEverywhere(MIXED, {}, 3, async (image, ledger) => {
      if (recoveries++ % 25 !== 0) return;
      const { there } = await examine(
        image.files.afterProcessDeath(),
        ledger,
        image.window,
        READING,
      );
      const random = new Random(recoveries);
      const images: MemoryFileSystem[] = [];
      const disk = new Disk(image.files, {
        onEvent({ operation }) {
          if (HARMLESS.has(operation)) return;
          images.push(disk.afterPowerLoss(), disk.afterChaos(random));
        },
      });
      const db = await openIn(disk, image.options);
      await db.close();
      for (const files of images) {
        crashes++;
        const window = { first: there, last: there };
        const { wrong } = await examine(files, ledger, window, READING);
        assertEquals(wrong, undefined, `during recovery from ${image.moment}`);
      }
    });
    assertGreater(crashes, 500);
  },
);

test(
  "crash: what a compaction dropped does not come back from a log whose end was lost",
  LONG,
  async () => {
    let isStuck = false;
    const disk = new Disk(new MemoryFileSystem(), {
      syncDelay: () => isStuck ? new Promise(() => {}) : Promise.resolve(),
    });
    const options = { ...READING, writeBufferSize: 256 };
    const db = await openOn(disk, options);
    const ledger = new Ledger();
    const put = (key: string, level: "sync" | "buffered" = "buffered") =>
      ledger.write(db, level, { kind: "put", key, stamp: key, length: 60 });
    await put("first", "sync");
    isStuck = true;
    // While this waits for its sync, memtables fill and are flushed.
    void put("stuck", "sync");
    await pause();
    await put("gone");
    for (let i = 0; i < 5; i++) await put(`a${i}`);
    await ledger.write(db, "buffered", { kind: "delete", key: "gone" });
    for (let i = 0; i < 5; i++) await put(`b${i}`);
    for (let turns = 0; turns < 20; turns++) await pause();
    await db.minorCompact();
    await db.tombstoneCompact();
    // A power loss now may leave any part of what was not synced.
    const random = new Random(1);
    const window = ledger.window("power loss");
    for (let n = 0; n < 300; n++) {
      const files = disk.afterChaos(random);
      const { wrong } = await examine(files, ledger, window, READING);
      assertEquals(wrong, undefined, `disk ${n}`);
    }
  },
);

test(
  "crash: a directory that an earlier process made and did not sync is synced",
  LONG,
  async () => {
    const files = new MemoryFileSystem();
    files.makeDirectory(PATH);
    const disk = new Disk(files, { directoryLasts: false });
    await using db = await openIn(disk);
    await db.put("key", "value", { durability: "sync" });
    await using again = await openIn(disk.afterPowerLoss());
    assert(again.has("key"));
  },
);
