/**
 * The contract of options: defaults, every bound from both sides, types.
 *
 * @module
 */
import { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { test } from "node:test";
import type { Options } from "../../mod.ts";
import {
  assertEquals,
  assertGreater,
  assertLess,
  assertStringIncludes,
} from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { LONG } from "./support/configs.ts";
import { rejectsWith } from "./support/errors.ts";
import { openAsGiven } from "./support/memory.ts";
import { text } from "./support/bytes.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/** Options of any shape, as a program without types would give them. */
type Loose = Record<string, unknown>;

/** `{ compaction: { minThreshold: 2 } }` for `compaction.minThreshold`. */
function optionsWith(
  name: string,
  value: unknown,
  others: Loose = {},
): Options {
  const [outer, inner] = name.split(".");
  return inner === undefined
    ? { ...others, [outer]: value }
    : { [outer]: { ...others, [inner]: value } };
}

async function assertAccepted(options: Options): Promise<void> {
  await using db = await openAsGiven(new MemoryFileSystem(), options);
  await db.put("k", "v");
  await db.flush();
  assertEquals(text(db.get("k")), "v");
}

async function assertRefused(name: string, options: Options): Promise<string> {
  const files = new MemoryFileSystem();
  const error = await rejectsWith(
    "INVALID_CONFIG",
    () => openAsGiven(files, options),
  );
  assertStringIncludes(error.message, name);
  // Options are looked at before anything is made.
  assertEquals(files.stat("/data"), undefined);
  return error.message;
}

/** Whole numbers: name, least, most, and what else must be set for the most. */
const WHOLE: [name: string, low: number, high: number, others?: Loose][] = [
  ["writeBufferSize", 128, GIB],
  ["maxFrozenMemtables", 1, 16],
  ["blockSize", 256, MIB],
  ["blockCacheSize", 0, 64 * GIB],
  ["bloomBitsPerKey", 0, 32],
  ["compaction.minThreshold", 2, 64, { maxThreshold: 256 }],
  ["compaction.maxThreshold", 4, 256],
  ["compaction.maxThreshold", 7, 256, { minThreshold: 7 }],
  ["compaction.minTableSize", 0, GIB],
  ["compaction.tombstoneInterval", 0, 604_800],
];

for (const [name, low, high, others] of WHOLE) {
  const given = others ? ` with ${JSON.stringify(others)}` : "";
  test(
    `option ${name} is ${low} .. ${high}, both included${given}`,
    LONG,
    async () => {
      await assertAccepted(optionsWith(name, low, others));
      await assertAccepted(optionsWith(name, high, others));
      await assertAccepted(optionsWith(name, undefined, others));
      for (const value of [low - 1, high + 1, -1, Infinity, -Infinity, NaN]) {
        const message = await assertRefused(
          name,
          optionsWith(name, value, others),
        );
        for (const part of [value, low, high]) {
          assertStringIncludes(message, String(part));
        }
      }
    },
  );

  test(`option ${name} is a whole number${given}`, async () => {
    const wrong = [low + 0.5, String(low), null, true, [low], {}, BigInt(low)];
    for (const value of wrong) {
      await assertRefused(name, optionsWith(name, value, others));
    }
  });
}

/** Numbers: name, what is accepted, what is not. */
const NUMBERS: [name: string, accepted: number[], refused: unknown[]][] = [
  ["compaction.bucketLow", [1e-9, 0.5, 0.999], [0, 1, -0.5, 1.5, NaN, "0.5"]],
  ["compaction.bucketHigh", [1.000001, 1.5, 100], [1, 0.5, 0, -2, NaN, "2"]],
  ["compaction.tombstoneRatio", [1e-9, 0.3, 1], [0, 1.01, -0.3, NaN, "0.3"]],
];

for (const [name, accepted, refused] of NUMBERS) {
  test(`option ${name} is a number within its bounds`, LONG, async () => {
    for (const value of accepted) {
      await assertAccepted(optionsWith(name, value));
    }
    for (const value of [...refused, null, true]) {
      const message = await assertRefused(name, optionsWith(name, value));
      assertStringIncludes(message, String(value));
    }
  });
}

/** Choices: name, what is accepted. */
const CHOICES: [name: string, accepted: unknown[]][] = [
  ["durability", ["sync", "buffered"]],
  ["createIfMissing", [true]],
  ["errorIfExists", [true, false]],
  ["compression", ["none", "zstd"]],
  ["compaction.strategy", ["size-tiered", "leveled"]],
  ["compaction.background", ["worker", "inline", "off"]],
  ["compaction.tombstoneBloomFallback", [true, false]],
  ["compaction.tombstoneRangeDrop", [true, false]],
];

for (const [name, accepted] of CHOICES) {
  test(`option ${name} is ${accepted.join(" or ")}`, LONG, async () => {
    for (const value of [...accepted, undefined]) {
      await assertAccepted(optionsWith(name, value));
    }
    for (const value of ["none", "", 0, 1, null, {}, "SYNC", "ZSTD"]) {
      if (accepted.includes(value)) continue;
      const message = await assertRefused(name, optionsWith(name, value));
      if (typeof accepted[0] !== "string") continue;
      for (const choice of accepted) {
        assertStringIncludes(message, String(choice));
      }
    }
  });
}

test("options that are not objects are INVALID_CONFIG", async () => {
  // deno-lint-ignore no-explicit-any -- wrong on purpose.
  const wrong: any[] = [null, 5, "sync", true];
  for (const options of wrong) {
    const files = new MemoryFileSystem();
    await rejectsWith("INVALID_CONFIG", () => openAsGiven(files, options));
    await assertRefused("compaction", { compaction: options });
  }
});

test("an option that does not exist is INVALID_CONFIG", async () => {
  const misspelt = { writeBuferSize: 4096 } as Options;
  await assertRefused("writeBuferSize", misspelt);
  const nested = { compaction: { minTreshold: 4 } } as Options;
  await assertRefused("compaction.minTreshold", nested);
});

test("open() itself rejects bad options, and makes no directory", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/db`;
    await rejectsWith("INVALID_CONFIG", () => open(path, { blockSize: 255 }));
    const options = { createIfMissing: false };
    await rejectsWith("NOT_FOUND", () => open(path, options));
  }));

test("open() of what is not a path is INVALID_ARGUMENT", async () => {
  // deno-lint-ignore no-explicit-any -- wrong on purpose.
  for (const path of [undefined, null, 5, {}] as any[]) {
    await rejectsWith("INVALID_ARGUMENT", () => open(path));
  }
});

test("options may differ from one opening to the next", LONG, async () => {
  const files = new MemoryFileSystem();
  const variants: Options[] = [
    { blockSize: 256, bloomBitsPerKey: 0, writeBufferSize: 128 },
    { blockSize: MIB, bloomBitsPerKey: 32, blockCacheSize: 0 },
    { compaction: { strategy: "leveled", background: "inline" } },
    { compaction: { strategy: "size-tiered", background: "off" } },
    {},
  ];
  for (const [round, options] of variants.entries()) {
    await using db = await openAsGiven(files, options);
    for (let i = 0; i < 50; i++) await db.put(`${round}-${i}`, `${round}`);
    await db.flush();
    for (let r = 0; r <= round; r++) {
      for (let i = 0; i < 50; i++) {
        assertEquals(text(db.get(`${r}-${i}`)), `${r}`);
      }
    }
  }
  await using db = await openAsGiven(files);
  await db.majorCompact();
  assertEquals([...db.scan()].length, 250);
});

test("by default every awaited write is synced", async () => {
  await using db = await openAsGiven(new MemoryFileSystem());
  const { syncs } = db.stats().wal;
  for (let i = 0; i < 5; i++) await db.put(`k${i}`, "v");
  assertEquals(db.stats().wal.syncs, syncs + 5);
});

test(
  "by default filters spare about 99 of 100 lookups of absent keys",
  LONG,
  async () => {
    await using db = await openAsGiven(new MemoryFileSystem());
    const waiting = [];
    for (let i = 0; i < 5000; i++) waiting.push(db.put(`present ${i}`, "v"));
    await Promise.all(waiting);
    await db.flush();
    for (let i = 0; i < 5000; i++) db.get(`present ${i}x`);
    const { checks, skips, falsePositives } = db.stats().bloom;
    assertGreater(checks, 4900);
    assertEquals(checks, skips + falsePositives);
    // Ten bits for each key: 0.8 to 1.2 of a hundred, and room for chance.
    assertLess(falsePositives, checks * 0.025);
  },
);

test("by default four tables of a size are merged by size-tiered compaction, and not three", async () => {
  const options: Options = {
    compaction: { strategy: "size-tiered", background: "off" },
  };
  await using db = await openAsGiven(new MemoryFileSystem(), options);
  for (let table = 0; table < 4; table++) {
    assertEquals(await db.minorCompact(), false, `${table} tables`);
    for (let i = 0; i < 10; i++) await db.put(`${table}-${i}`, "same size");
    await db.flush();
  }
  assertEquals(await db.minorCompact(), true);
  assertEquals(db.stats().tableCount, 1);
});
