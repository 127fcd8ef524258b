/**
 * Crash scenarios of aeternusdb's tests, in a form that runs in this process
 * and in a child that is killed: lives of a process that each end in `die`,
 * and what must hold when the database is opened again.
 *
 * A life calls `die` synchronously, at the very state that it describes: no
 * flush can run in between.
 *
 * @module
 */
import type { Db, Options } from "../../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
} from "../../assert.ts";
import { keys, numbered, rows, text } from "./bytes.ts";
import { DEFAULT_CONFIG, MEMTABLE_ONLY, SMALL_BUFFER } from "./configs.ts";

/** How far a life came; plain data, for it may cross processes. */
export interface Reached {
  /** Numbered operations whose promises had resolved. */
  readonly acknowledged: number;
  /** Numbered operations that had been called; at most one more. */
  readonly started: number;
  /** The highest sequence at the last acknowledgement. */
  readonly lastSequence: number;
}

/** Ends a life. */
export type Die = (reached: Reached) => void;

/** One scenario. */
export interface Scenario {
  /** What it shows. */
  readonly name: string;
  /** How the database is opened, in every life. */
  readonly options: Options;
  /** The lives; each begins with an open database and ends by calling `die`. */
  readonly lives: readonly ((db: Db, die: Die) => Promise<void>)[];
  /** What must hold after the last life. */
  verify(db: Db, reached: Reached): Promise<void> | void;
}

/** Runs numbered writes until one of them freezes a memtable, and dies there. */
async function writeUntilFrozen(
  db: Db,
  from: number,
  write: (i: number) => Promise<void>,
  die: Die,
): Promise<void> {
  for (let i = from; i < 10_000; i++) {
    const { lastSequence } = db.stats();
    const write_i = write(i);
    if (db.stats().frozenCount >= 1) {
      die({ acknowledged: i, started: i + 1, lastSequence });
      return await write_i;
    }
    await write_i;
  }
  throw new Error("no memtable was frozen within 10000 writes");
}

const putNumbered = (db: Db, prefix: string) => (i: number) =>
  db.put(numbered(prefix, i), numbered("val", i));

async function putMany(
  db: Db,
  from: number,
  to: number,
  prefix = "key",
): Promise<void> {
  for (let i = from; i < to; i++) await putNumbered(db, prefix)(i);
}

/** Fifty keys, in tables alone. */
async function fillTables(db: Db): Promise<void> {
  await putMany(db, 0, 50);
  await db.flush();
  assertGreater(db.stats().tableCount, 0);
  assertEquals(db.stats().frozenCount, 0);
}

function dieInMemtable(db: Db, die: Die, count: number): void {
  assertEquals(db.stats().frozenCount, 0);
  assertEquals(db.stats().tableCount, 0);
  dieNow(db, die, count);
}

function dieNow(db: Db, die: Die, count: number): void {
  const { lastSequence } = db.stats();
  die({ acknowledged: count, started: count, lastSequence });
}

/** Acknowledged operations took effect; one that was only called may have. */
function expectNumbered(
  db: Db,
  prefix: string,
  reached: Reached,
  effect: (i: number) => string | undefined,
  otherwise: (i: number) => string | undefined,
): void {
  for (let i = 0; i < reached.started; i++) {
    const value = text(db.get(numbered(prefix, i)));
    if (i >= reached.acknowledged && value === otherwise(i)) continue;
    assertEquals(value, effect(i), numbered(prefix, i));
  }
}

const value = (i: number): string => numbered("val", i);
const nothing = (): undefined => undefined;

function expectValues(db: Db, indexes: Iterable<number>): void {
  for (const i of indexes) {
    assertEquals(text(db.get(numbered("key", i))), value(i), `key ${i}`);
  }
}

function expectAbsent(db: Db, indexes: Iterable<number>): void {
  for (const i of indexes) {
    assertEquals(db.get(numbered("key", i)), undefined, `key ${i}`);
  }
}

function span(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** aeternusdb's `tests_crash_recovery`. */
export const crashScenarios: readonly Scenario[] = [
  {
    name: "puts in the active log",
    options: MEMTABLE_ONLY,
    lives: [async (db, die) => {
      for (const i of [1, 2, 3]) await db.put(`k${i}`, `v${i}`);
      dieInMemtable(db, die, 3);
    }],
    verify(db) {
      assertEquals(rows(db.scan()), [["k1", "v1"], ["k2", "v2"], ["k3", "v3"]]);
    },
  },
  {
    name: "a frozen memtable",
    options: SMALL_BUFFER,
    lives: [
      (db, die) => writeUntilFrozen(db, 0, putNumbered(db, "key"), die),
    ],
    verify(db, reached) {
      assertGreater(reached.acknowledged, 0);
      expectNumbered(db, "key", reached, value, nothing);
    },
  },
  {
    name: "a frozen memtable and tables",
    options: SMALL_BUFFER,
    lives: [async (db, die) => {
      await fillTables(db);
      await writeUntilFrozen(db, 50, putNumbered(db, "key"), die);
    }],
    verify(db, reached) {
      assertGreater(db.stats().tableCount, 0);
      expectNumbered(db, "key", reached, value, nothing);
    },
  },
  {
    name: "a delete in the active log",
    options: MEMTABLE_ONLY,
    lives: [async (db, die) => {
      await db.put("keep", "yes");
      await db.put("gone", "bye");
      await db.delete("gone");
      dieInMemtable(db, die, 3);
    }],
    verify(db) {
      assertEquals(rows(db.scan()), [["keep", "yes"]]);
      assertEquals(db.get("gone"), undefined);
    },
  },
  {
    name: "a range delete in the active log",
    options: MEMTABLE_ONLY,
    lives: [async (db, die) => {
      for (let i = 0; i < 10; i++) {
        await db.put(Uint8Array.of(107, i), `v${i}`);
      }
      await db.deleteRange(Uint8Array.of(107, 3), Uint8Array.of(107, 7));
      dieInMemtable(db, die, 11);
    }],
    verify(db) {
      for (let i = 0; i < 10; i++) {
        const expected = i >= 3 && i < 7 ? undefined : `v${i}`;
        assertEquals(text(db.get(Uint8Array.of(107, i))), expected, `k${i}`);
      }
    },
  },
  {
    name: "deletes in a frozen memtable over tables",
    options: SMALL_BUFFER,
    lives: [async (db, die) => {
      await fillTables(db);
      const remove = (i: number) => db.delete(numbered("key", i));
      await writeUntilFrozen(db, 0, remove, die);
    }],
    verify(db, reached) {
      assertGreater(reached.acknowledged, 0);
      expectNumbered(db, "key", reached, nothing, value);
      expectValues(db, span(reached.started, 50));
    },
  },
  {
    name: "a range delete in a frozen memtable over tables",
    options: SMALL_BUFFER,
    lives: [async (db, die) => {
      await fillTables(db);
      await db.deleteRange("key_0010", "key_0020");
      await writeUntilFrozen(db, 0, putNumbered(db, "fill"), die);
    }],
    verify(db, reached) {
      expectAbsent(db, span(10, 20));
      expectValues(db, [...span(0, 10), ...span(20, 50)]);
      expectNumbered(db, "fill", reached, value, nothing);
    },
  },
  {
    name: "a scan over all three layers",
    options: SMALL_BUFFER,
    lives: [async (db, die) => {
      await putMany(db, 0, 50, "sk");
      await db.flush();
      assertGreater(db.stats().tableCount, 0);
      await writeUntilFrozen(db, 50, putNumbered(db, "sk"), die);
    }],
    verify(db, reached) {
      const found = keys(db.scan({ gte: "sk_", lt: "sk_~" }));
      assertGreaterOrEqual(found.length, reached.acknowledged);
      assertGreaterOrEqual(reached.started, found.length);
      assertEquals(
        found,
        span(0, found.length).map((i) => numbered("sk", i)),
      );
    },
  },
  {
    name: "mixed operations over all three layers",
    options: SMALL_BUFFER,
    lives: [async (db, die) => {
      await putMany(db, 0, 50);
      await db.delete("key_0005");
      await db.delete("key_0015");
      await db.deleteRange("key_0030", "key_0040");
      await db.put("key_0002", "new_val_0002");
      await db.flush();
      assertGreater(db.stats().tableCount, 0);
      await writeUntilFrozen(db, 0, putNumbered(db, "pad"), die);
    }],
    verify(db, reached) {
      const gone = new Set([5, 15, ...span(30, 40)]);
      const left = span(0, 50).filter((i) => !gone.has(i));
      expectAbsent(db, gone);
      expectValues(db, left.filter((i) => i !== 2));
      assertEquals(text(db.get("key_0002")), "new_val_0002");
      assertEquals(
        keys(db.scan({ prefix: "key_" })),
        left.map((i) => numbered("key", i)),
      );
      expectNumbered(db, "pad", reached, value, nothing);
    },
  },
];

const putAndDie =
  (entries: Record<string, string>) => async (db: Db, die: Die) => {
    for (const [key, value] of Object.entries(entries)) {
      await db.put(key, value);
    }
    dieNow(db, die, Object.keys(entries).length);
  };

/** The numbers given before the crash are behind us, and a write moves on from there. */
async function expectHigherSequence(
  db: Db,
  reached: Reached,
  write: () => Promise<void>,
): Promise<void> {
  const recovered = db.stats().lastSequence;
  assertGreaterOrEqual(recovered, reached.lastSequence);
  await write();
  assertGreater(db.stats().lastSequence, recovered);
}

/** The answer must be the same from the memtable, from a table and from a merged one. */
async function inEveryLayer(db: Db, check: () => void): Promise<void> {
  check();
  await db.flush();
  check();
  await db.majorCompact();
  check();
}

/** Writes enough padding to fill memtables, and moves all of it to tables. */
async function padAndFlush(db: Db, from: number): Promise<void> {
  for (let i = from; i < from + 20; i++) {
    await db.put(numbered("pad", i), "x".repeat(64));
  }
  await db.flush();
}

/** aeternusdb's `tests_lsn_continuity` after a crash. */
export const sequenceScenarios: readonly Scenario[] = [
  {
    name: "an overwrite after a crash shadows the old value",
    options: DEFAULT_CONFIG,
    lives: [putAndDie({ k: "old" })],
    async verify(db, reached) {
      await expectHigherSequence(db, reached, () => db.put("k", "new"));
      await inEveryLayer(db, () => assertEquals(text(db.get("k")), "new"));
    },
  },
  {
    name: "a delete after a crash hides the old put",
    options: DEFAULT_CONFIG,
    lives: [putAndDie({ k: "v" })],
    async verify(db, reached) {
      await expectHigherSequence(db, reached, () => db.delete("k"));
      await inEveryLayer(db, () => assertEquals(db.get("k"), undefined));
    },
  },
  {
    name: "a range delete after a crash hides old puts",
    options: DEFAULT_CONFIG,
    lives: [async (db, die) => {
      await putMany(db, 0, 10);
      dieNow(db, die, 10);
    }],
    async verify(db, reached) {
      await expectHigherSequence(
        db,
        reached,
        () => db.deleteRange("key_0003", "key_0007"),
      );
      await inEveryLayer(db, () => {
        expectAbsent(db, span(3, 7));
        expectValues(db, [...span(0, 3), ...span(7, 10)]);
      });
    },
  },
  {
    name: "the newest of three crashed lives wins",
    options: DEFAULT_CONFIG,
    lives: ["v1", "v2", "v3"].map((k) => putAndDie({ k })),
    verify: (db) =>
      inEveryLayer(db, () => assertEquals(text(db.get("k")), "v3")),
  },
  {
    name: "an overwrite after a crash shadows tables and log",
    options: SMALL_BUFFER,
    lives: [async (db, die) => {
      await putMany(db, 0, 30);
      await db.flush();
      await db.put("key_0010", "pre-crash");
      dieNow(db, die, 31);
    }],
    async verify(db, reached) {
      assertEquals(text(db.get("key_0010")), "pre-crash");
      await expectHigherSequence(
        db,
        reached,
        () => db.put("key_0010", "post-crash"),
      );
      await inEveryLayer(db, () => {
        const found = new Map(rows(db.scan({ gte: "key_", lt: "key_~" })));
        assertEquals(found.size, 30);
        assertEquals(found.get("key_0010"), "post-crash");
      });
    },
  },
  {
    name: "only the key written after the crash changes",
    options: DEFAULT_CONFIG,
    lives: [putAndDie({ a: "v1", b: "v1", c: "v1" })],
    async verify(db, reached) {
      await expectHigherSequence(db, reached, () => db.put("b", "v2"));
      await inEveryLayer(
        db,
        () =>
          assertEquals(rows(db.scan()), [["a", "v1"], ["b", "v2"], [
            "c",
            "v1",
          ]]),
      );
    },
  },
  {
    name: "lives with flushes between their crashes",
    options: SMALL_BUFFER,
    lives: [
      async (db, die) => {
        await db.put("k", "table-1");
        await padAndFlush(db, 0);
        dieNow(db, die, 21);
      },
      async (db, die) => {
        assertEquals(text(db.get("k")), "table-1");
        await db.put("k", "table-2");
        await padAndFlush(db, 20);
        dieNow(db, die, 21);
      },
      async (db, die) => {
        assertEquals(text(db.get("k")), "table-2");
        await db.put("k", "memtable-3");
        dieNow(db, die, 1);
      },
    ],
    verify: (db) =>
      inEveryLayer(db, () => assertEquals(text(db.get("k")), "memtable-3")),
  },
];

/** Every scenario by name, for the child process. */
export function scenarioNamed(name: string): Scenario {
  const scenario = [...crashScenarios, ...sequenceScenarios]
    .find((candidate) => candidate.name === name);
  assert(scenario, `no scenario is named ${name}`);
  return scenario;
}
