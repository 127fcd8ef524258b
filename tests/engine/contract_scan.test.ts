/**
 * The contract of `scan`: bounds, order, snapshot, and one use.
 *
 * @module
 */
import { test } from "node:test";
import type { Db, ScanOptions } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreaterOrEqual,
} from "../assert.ts";
import { keys, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import { throwsWith } from "./support/errors.ts";

const QUIET = {
  durability: "buffered",
  blockSize: 256,
  compaction: { background: "off" },
} as const;

const LETTERS = ["", "a", "ab", "abc", "abd", "b", "ba", "c", "d\u00ff"];

async function putAll(db: Db): Promise<void> {
  for (const key of LETTERS) await db.put(key, `value of ${key}`);
}

/** Part of the keys in each layer, and stale versions under them. */
async function putInLayers(db: Db): Promise<void> {
  const every = (n: number, rest: number) =>
    LETTERS.filter((_, i) => i % n === rest);
  for (const key of LETTERS) await db.put(key, "stale");
  await db.put("aa", "deleted later");
  await db.flush();
  for (const key of every(3, 0)) await db.put(key, `value of ${key}`);
  await db.delete("aa");
  await db.flush();
  for (const key of LETTERS) await db.put(key, `value of ${key}`);
}

/** What the contract says a scan yields. */
function expected(options: ScanOptions<string>): string[] {
  const { gt, gte, lt, lte, reverse, limit } = options;
  const prefix = options.prefix as string | undefined;
  const found = LETTERS.filter((key) =>
    (gt === undefined || key > gt) && (gte === undefined || key >= gte) &&
    (lt === undefined || key < lt) && (lte === undefined || key <= lte) &&
    (prefix === undefined || key.startsWith(prefix))
  );
  return (reverse ? found.reverse() : found).slice(0, limit);
}

function* combinations(): Generator<ScanOptions<string>> {
  const points = [undefined, "", "a", "abc", "abcd", "c", "z"];
  for (const low of points) {
    for (const high of points) {
      for (const [from, to] of [["gt", "lt"], ["gte", "lte"], ["gt", "lte"]]) {
        for (const prefix of [undefined, "", "a", "ab", "x"]) {
          yield { [from]: low, [to]: high, prefix };
        }
      }
    }
  }
}

for (
  const [layers, fill] of [["memtable", putAll], [
    "all layers",
    putInLayers,
  ]] as const
) {
  test(
    `scan() of every combination of bounds and prefix (${layers})`,
    LONG,
    () =>
      withDb(async (db) => {
        await fill(db);
        let count = 0;
        for (const bounds of combinations()) {
          for (const reverse of [false, true]) {
            const limit = [undefined, 0, 1, 2, 100, Infinity][count++ % 6];
            const options = { ...bounds, reverse, limit };
            assertEquals(
              rows(db.scan(options)),
              expected(options).map((key) => [key, `value of ${key}`]),
              JSON.stringify(options),
            );
          }
        }
        assertGreaterOrEqual(count, 1000);
      }, QUIET),
  );
}

test("scan() takes bounds as bytes, and copies them", () =>
  withDb(async (db) => {
    await putAll(db);
    const bound = Uint8Array.of(0x61);
    const prefix = Uint8Array.of(0x61);
    const scan = db.scan({ gt: bound, prefix });
    bound.fill(0xff);
    prefix.fill(0xff);
    assertEquals(keys(scan), ["ab", "abc", "abd"]);
  }));

test("scan() with a prefix of 0xff bytes has no upper end", () =>
  withDb(async (db) => {
    const ends = [Uint8Array.of(0xff), Uint8Array.of(0xff, 0xff, 0)];
    for (const key of [Uint8Array.of(0xfe, 0xff), ...ends]) {
      await db.put(key, "x");
    }
    assertEquals([...db.scan({ prefix: Uint8Array.of(0xff) }).keys()], ends);
    assertEquals(
      [...db.scan({ prefix: Uint8Array.of(0xff), reverse: true }).keys()],
      ends.toReversed(),
    );
  }));

test("scan().keys() and scan().values() yield the halves of the rows", () =>
  withDb(async (db) => {
    await putInLayers(db);
    const all = rows(db.scan());
    assertEquals(
      [...db.scan().keys()].map(text),
      all.map(([key]) => key),
    );
    assertEquals(
      [...db.scan({ reverse: true }).values()].map(text),
      all.map(([, value]) => value).reverse(),
    );
  }, QUIET));

test("scan() over an empty range, or an empty database, is empty", () =>
  withDb(async (db) => {
    assertEquals(rows(db.scan()), []);
    assertEquals(rows(db.scan({ reverse: true })), []);
    await putAll(db);
    for (const reverse of [false, true]) {
      assertEquals(rows(db.scan({ gte: "b", lt: "a", reverse })), []);
      assertEquals(rows(db.scan({ gt: "a", lt: "a", reverse })), []);
      assertEquals(rows(db.scan({ gt: "a", lt: "ab", reverse })), []);
      assertEquals(rows(db.scan({ prefix: "b", lt: "b", reverse })), []);
      assertEquals(rows(db.scan({ limit: 0, reverse })), []);
    }
  }));

test("scan() throws INVALID_ARGUMENT at the call for bad options", () =>
  withDb((db) => {
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    const wrong: any[] = [
      { gt: "a", gte: "a" },
      { lt: "a", lte: "a" },
      { gt: null },
      { gte: null },
      { lt: null },
      { lte: null },
      { prefix: null },
      { gte: 1 },
      { prefix: {} },
      { limit: -1 },
      { limit: 1.5 },
      { limit: NaN },
      { limit: -Infinity },
      { limit: "3" },
      { limit: null },
    ];
    for (const options of wrong) {
      throwsWith("INVALID_ARGUMENT", () => db.scan(options));
    }
    assertEquals(db.stats().openScans, 0);
  }));

test("scan() treats undefined options as absent", () =>
  withDb(async (db) => {
    await putAll(db);
    const absent = {
      gt: undefined,
      gte: "b",
      lt: undefined,
      lte: undefined,
      prefix: undefined,
      reverse: undefined,
      limit: undefined,
    };
    assertEquals(keys(db.scan(absent)), ["b", "ba", "c", "d\u00ff"]);
    assertEquals(keys(db.scan(undefined)).length, LETTERS.length);
  }));

for (const reverse of [false, true]) {
  const direction = reverse ? "in reverse" : "forwards";

  test(
    `scan() ${direction} sees the moment of its creation`,
    LONG,
    () =>
      withDb(async (db) => {
        for (let i = 0; i < 300; i++) await db.put(numbered("k", i), "old");
        await db.flush();
        const expectedRows = rows(db.scan({ reverse }));
        const idle = db.scan({ reverse });
        const started = db.scan({ reverse });
        const iterator = started[Symbol.iterator]();
        const seen = [iterator.next().value!]; // there are 300 rows
        await db.put("k_0001x", "new key");
        for (let i = 0; i < 300; i += 2) await db.put(numbered("k", i), "new");
        await db.flush();
        await db.deleteRange("k_0100", "k_0250");
        await db.delete("k_0001");
        await db.flush();
        await db.majorCompact();
        await db.clear();
        await db.majorCompact();
        for (let next = iterator.next(); !next.done; next = iterator.next()) {
          seen.push(next.value);
        }
        assertEquals(rows(seen), expectedRows);
        assertEquals(rows(idle), expectedRows);
        assertEquals(rows(db.scan()), []);
      }, QUIET),
  );
}

test("a scan that was exhausted is closed", () =>
  withDb(async (db) => {
    await putAll(db);
    const scan = db.scan();
    assertEquals(rows(scan).length, LETTERS.length);
    assertEquals(db.stats().openScans, 0);
    throwsWith("CLOSED", () => [...scan]);
    throwsWith("CLOSED", () => [...scan.keys()]);
    throwsWith("CLOSED", () => [...scan.values()]);
  }));

test("a scan that was broken out of is closed", () =>
  withDb(async (db) => {
    await putAll(db);
    const scan = db.scan();
    for (const [key] of scan) {
      assertEquals(text(key), "");
      break;
    }
    assertEquals(db.stats().openScans, 0);
    throwsWith("CLOSED", () => [...scan]);
  }));

test("a scan whose limit was reached is closed", () =>
  withDb(async (db) => {
    await putAll(db);
    const scan = db.scan({ limit: 2 });
    assertEquals(keys(scan), ["", "a"]);
    assertEquals(db.stats().openScans, 0);
    throwsWith("CLOSED", () => [...scan]);
  }));

test("a scan that was disposed is closed, disposed twice or not", () =>
  withDb(async (db) => {
    await putAll(db);
    const scan = db.scan();
    {
      using held = scan;
      assertEquals(db.stats().openScans, 1);
      void held;
    }
    assertEquals(db.stats().openScans, 0);
    throwsWith("CLOSED", () => [...scan]);
    scan[Symbol.dispose]();
  }));

test("a scan disposed while it is walked over ends with CLOSED", () =>
  withDb(async (db) => {
    await putAll(db);
    const scan = db.scan();
    throwsWith("CLOSED", () => {
      for (const _ of scan) scan[Symbol.dispose]();
    });
  }));

test("a scan on a database that is closed is CLOSED", () =>
  withDb(async (db) => {
    await putAll(db);
    await db.flush();
    const idle = db.scan();
    const iterator = db.scan()[Symbol.iterator]();
    iterator.next();
    await db.close();
    throwsWith("CLOSED", () => [...idle]);
    throwsWith("CLOSED", () => iterator.next());
    throwsWith("CLOSED", () => db.scan());
  }));

test("an error thrown in the loop closes the scan", () =>
  withDb(async (db) => {
    await putAll(db);
    const scan = db.scan();
    let thrown = false;
    try {
      for (const _ of scan) throw new RangeError("mine");
    } catch (error) {
      thrown = error instanceof RangeError;
    }
    assert(thrown);
    throwsWith("CLOSED", () => [...scan]);
  }));

test("for await over a scan yields the same rows and closes it", () =>
  withDb(async (db) => {
    await putInLayers(db);
    const scan = db.scan({ reverse: true });
    const seen: [Uint8Array, Uint8Array][] = [];
    for await (const row of scan) seen.push(row);
    assertEquals(rows(seen), rows(db.scan({ reverse: true })));
    throwsWith("CLOSED", () => [...scan]);
    const broken = db.scan();
    for await (const _ of broken) break;
    throwsWith("CLOSED", () => [...broken]);
    assertEquals(db.stats().openScans, 0);
  }, QUIET));

function busyFor(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

test(
  "for await over a scan gives way to the event loop, for ... of does not",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 100; i++) await db.put(numbered("k", i), "v");
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      try {
        for (const _ of db.scan()) busyFor(1);
        assertEquals(ticks, 0);
        for await (const _ of db.scan()) busyFor(1);
        // 100 ms of work in slices of a few milliseconds each.
        assertGreaterOrEqual(ticks, 5);
      } finally {
        clearInterval(timer);
      }
    }, QUIET),
);

test(
  "many scans may be open at once, each at its own place",
  LONG,
  () =>
    withDb(async (db) => {
      for (let i = 0; i < 200; i++) await db.put(numbered("k", i), "v");
      await db.flush();
      const iterators = Array.from(
        { length: 20 },
        (_, i) => db.scan({ gte: numbered("k", i * 10) })[Symbol.iterator](),
      );
      assertEquals(db.stats().openScans, 20);
      for (let step = 0; step < 10; step++) {
        iterators.forEach((iterator, i) => {
          const { value } = iterator.next();
          assertEquals(text(value?.[0]), numbered("k", i * 10 + step));
        });
      }
      for (const iterator of iterators) iterator.return?.();
      assertEquals(db.stats().openScans, 0);
      assertFalse(db.scan()[Symbol.iterator]().next().done);
    }, QUIET),
);
