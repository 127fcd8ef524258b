/**
 * The contract of `scan().chunks()`: the rows of the scan, side by side.
 *
 * @module
 */
import { test } from "node:test";
import {
  Chunk,
  type Codec,
  type Db,
  json,
  type Options,
  type Scan,
  type ScanOptions,
  utf8,
} from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertStrictEquals,
} from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { bytes, filled, numbered, rows, text } from "./support/bytes.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import { throwsWith } from "./support/errors.ts";
import { failOn, withMemoryDb } from "./support/memory.ts";
import { Random } from "./support/random.ts";

const QUIET = {
  durability: "buffered",
  compaction: { background: "off" },
} as const;
const ROWS_MAX = 1024;

type Row = [Uint8Array, Uint8Array];
/** Makes a chunk to be filled again, or none. */
type Reuse = () => Chunk | undefined;

const REUSES: readonly Reuse[] = [
  () => undefined,
  () => new Chunk(),
  () => new Chunk(0),
  () => new Chunk(100),
  () => new Chunk(3000),
];

/** The rows of a chunk as arrays of their own, by places and by calls alike. */
function rowsIn({ bytes, places, length, ...chunk }: ChunkParts): Row[] {
  const found: Row[] = [];
  for (let row = 0; row < length; row++) {
    const at = places.subarray(4 * row, 4 * row + 4);
    const [keyStart, keyEnd, valueStart, valueEnd] = at;
    assert(0 <= keyStart && keyStart <= keyEnd && keyEnd <= bytes.length);
    assert(valueStart <= valueEnd && valueEnd <= bytes.length);
    const key = bytes.slice(keyStart, keyEnd);
    const value = bytes.slice(valueStart, valueEnd);
    assertEquals(chunk.key(row), key);
    assertEquals(chunk.value(row), value);
    found.push([key, value]);
  }
  return found;
}

interface ChunkParts {
  readonly bytes: Uint8Array;
  readonly places: Int32Array;
  readonly length: number;
  key(row: number): Uint8Array;
  value(row: number): Uint8Array;
}

/** What {@linkcode rowsIn} takes: the getters of a class are not its own properties. */
const partsOf = (chunk: Chunk): ChunkParts => ({
  bytes: chunk.bytes,
  places: chunk.places,
  length: chunk.length,
  key: (row) => chunk.key(row),
  value: (row) => chunk.value(row),
});

/** All rows of a scan by chunks, none of which may be empty or too long. */
function rowsByChunks(scan: Scan, reuse?: Chunk): Row[] {
  const found: Row[] = [];
  for (const chunk of scan.chunks(reuse)) {
    if (reuse !== undefined) assertStrictEquals(chunk, reuse);
    assertGreater(chunk.length, 0);
    assertLessOrEqual(chunk.length, ROWS_MAX);
    found.push(...rowsIn(partsOf(chunk)));
  }
  return found;
}

function checkAll(
  reader: Pick<Db, "scan">,
  options: ScanOptions,
  reuses = REUSES,
): void {
  const expected = [...reader.scan(options)];
  for (const reuse of reuses) {
    const found = rowsByChunks(reader.scan(options), reuse());
    assertEquals(found, expected, JSON.stringify(options));
  }
}

const COUNT = 600;
const keyOf = (i: number): string =>
  i % 50 === 7 ? numbered("k", i) + "x".repeat(280) : numbered("k", i);
const valueOf = (i: number, generation: number): Uint8Array =>
  filled(i % 97 === 5 ? 9000 : (i * 7 + generation) % 230, i + generation);

/** Part of the keys in each layer, over older versions, beside tombstones of both kinds. */
async function fillLayers(db: Db): Promise<void> {
  for (let i = 0; i < COUNT; i++) await db.put(keyOf(i), valueOf(i, 0));
  await db.put("", "the empty key");
  await db.flush();
  for (let i = 0; i < COUNT; i += 3) await db.put(keyOf(i), valueOf(i, 1));
  for (let i = 1; i < COUNT; i += 11) await db.delete(keyOf(i));
  await db.deleteRange(keyOf(200), keyOf(230));
  await db.flush();
  for (let i = 210; i < 220; i++) await db.put(keyOf(i), valueOf(i, 2));
  for (let i = 5; i < COUNT; i += 40) await db.put(keyOf(i), valueOf(i, 3));
  await db.deleteRange(keyOf(580), keyOf(590));
}

/** Bounds that begin and end everywhere: within blocks and at their edges. */
function* someOptions(): Generator<ScanOptions> {
  const random = new Random(3);
  yield {};
  for (let i = 0; i < 60; i++) {
    const low = random.below(COUNT + 5);
    const high = low + random.pick([0, 1, 2, 30, 90, COUNT]);
    const limit = random.pick([0, 1, 2, 17, 100, Infinity]);
    yield { gte: keyOf(low), lt: keyOf(high), limit };
    yield { gt: keyOf(low), lte: keyOf(high), limit };
    yield { prefix: random.pick(["k_00", "k_02", "k_0577", "z"]), limit };
  }
}

const OPTIONS: readonly [string, Options][] = [
  ["small blocks", { ...QUIET, blockSize: 256 }],
  ["defaults", QUIET],
  ["large blocks", { ...QUIET, blockSize: 64 * 1024 }],
  ["compressed", { ...QUIET, compression: "zstd" }],
  ["without a cache", { ...QUIET, blockCacheSize: 0 }],
];

for (const [name, options] of OPTIONS) {
  test(
    `chunks() gives the rows of the scan (${name})`,
    LONG,
    () =>
      withDb(async (db) => {
        await fillLayers(db);
        const check = () => {
          for (const options of someOptions()) {
            checkAll(db, options);
            checkAll(db, { ...options, reverse: true });
          }
        };
        check();
        await db.flush();
        check();
        await db.majorCompact();
        check();
      }, options),
  );
}

for (const blockSize of [256, 4096]) {
  test(
    `chunks() where sources have runs of entries between each other's (blocks of ${blockSize} bytes)`,
    LONG,
    () =>
      withDb(async (db) => {
        const layerOf = (i: number) => Math.floor(i / 43) % 4;
        for (let layer = 0; layer < 4; layer++) {
          for (let i = 0; i < 2000; i++) {
            if (layerOf(i) !== layer) continue;
            await db.put(keyOf(i), valueOf(i, layer));
            if (i % 19 === 0) await db.delete(keyOf(i));
          }
          if (layer < 3) await db.flush();
        }
        for (const reverse of [false, true]) {
          checkAll(db, { reverse });
          for (let limit = 1; limit < 200; limit += 7) {
            const bounds = { gte: keyOf(3 * limit), lt: keyOf(1000 + limit) };
            checkAll(db, { ...bounds, reverse, limit });
            checkAll(db, { ...bounds, reverse });
          }
        }
      }, { ...QUIET, blockSize }),
  );
}

test("chunks() in reverse takes the newest visible version of a key, or none", () =>
  withDb(async (db) => {
    const snapshots = [db.snapshot()];
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 40; i++) {
        if ((i + round) % 5 === 0) await db.delete(keyOf(i));
        else await db.put(keyOf(i), valueOf(i, round));
      }
      if (round % 4 === 1) await db.deleteRange(keyOf(10), keyOf(13));
      if (round === 7) await db.flush();
      snapshots.push(db.snapshot());
    }
    for (const reader of [db, ...snapshots]) {
      for (const reverse of [true, false]) {
        checkAll(reader, { reverse });
        checkAll(reader, { reverse, limit: 9, lt: keyOf(33) });
      }
    }
    for (const snapshot of snapshots) snapshot.close();
  }, QUIET));

test("a chunk has at most 1024 rows, and all that have room", () =>
  withDb(async (db) => {
    for (let i = 0; i < 3000; i++) await db.put(numbered("k", i), "");
    for (const layer of ["memtable", "table"]) {
      for (const reverse of [false, true]) {
        for (const reuse of [undefined, new Chunk()]) {
          const lengths = [];
          for (const chunk of db.scan({ reverse }).chunks(reuse)) {
            lengths.push(chunk.length);
          }
          assertEquals(lengths, [1024, 1024, 952], layer);
        }
      }
      await db.flush();
    }
    assertGreater([...db.scan().chunks(new Chunk(1000))].length, 15);
  }, QUIET));

test("rows that are too long for a chunk make it larger, and no other one", () =>
  withDb(async (db) => {
    const small = () => [...db.scan({ prefix: "s" }).chunks()].length;
    for (let i = 0; i < 900; i++) await db.put(numbered("s", i), filled(300));
    const before = small();
    assertGreater(before, 3);
    for (let i = 0; i < 20; i++) {
      await db.put(numbered("l", i), filled(100_000, i));
      await db.put(numbered("m", i), filled(9000, i));
    }
    for (const layer of ["memtable", "table"]) {
      const large = [...db.scan({ prefix: "l" }).chunks()];
      assertEquals(large.map(({ length }) => length), Array(20).fill(1), layer);
      const middle = [...db.scan({ prefix: "m" }).chunks()];
      assertEquals(middle.map(({ length }) => length), [7, 7, 6], layer);
      checkAll(db, { gte: "l", lt: "n" });
      assertLessOrEqual(Math.abs(small() - before), 2);
      await db.flush();
    }
    const chunk = new Chunk();
    for (const _ of db.scan().chunks(chunk));
    assertLess(chunk.bytes.length, 1024 * 1024);
    assertEquals(rowsByChunks(db.scan(), chunk), [...db.scan()]);
  }, QUIET));

test("a chunk of its own is the program's: no more memory than it needs, and nothing changes it", () =>
  withTempDir(async (dir) => {
    const db = await open(`${dir}/db`, QUIET);
    await fillLayers(db);
    await db.flush();
    const expected = [...db.scan()];
    const chunks = [...db.scan().chunks()];
    assertGreater(chunks.length, 1);
    for (let i = 0; i < COUNT; i++) await db.put(keyOf(i), "another");
    await db.majorCompact();
    assertEquals([...db.scan().chunks()].length, 1);
    await db.close();
    assertEquals(chunks.flatMap((chunk) => rowsIn(partsOf(chunk))), expected);
    for (const { bytes, places, length } of chunks) {
      assert(bytes.buffer instanceof ArrayBuffer);
      assertEquals(bytes.length, bytes.buffer.byteLength);
      assertEquals(places.length, 4 * length);
      const copy = structuredClone(bytes, { transfer: [bytes.buffer] });
      assertLess(copy.length, 80 * 1024);
    }
  }));

test("a chunk serves one scan after another, of any database", () =>
  withDb((db) =>
    withDb(async (other) => {
      await db.put("a", "1");
      await other.put("b", filled(5000));
      const chunk = new Chunk(10);
      assertEquals(chunk.length, 0);
      for (let i = 0; i < 3; i++) {
        assertEquals(rowsByChunks(db.scan(), chunk), [...db.scan()]);
        assertEquals(rowsByChunks(other.scan(), chunk), [...other.scan()]);
      }
      // It is nobody else's when the walk is over.
      for (const _ of other.scan().chunks(chunk)) break;
      assertEquals([...db.scan().chunks()].length, 1);
      assertEquals(rowsIn(partsOf(chunk)), [...other.scan()]);
      const fresh = [...other.scan().chunks()][0];
      assertEquals(rowsByChunks(db.scan(), fresh), [...db.scan()]);
      for (let i = 0; i < 500; i++) await db.put(keyOf(i), valueOf(i, 0));
      await db.flush();
      assertEquals(rowsByChunks(db.scan(), fresh), [...db.scan()]);
    })
  ));

test("a chunk whose memory went to another thread gets new memory", () =>
  withDb(async (db) => {
    for (let i = 0; i < 900; i++) await db.put(keyOf(i), valueOf(i, 0));
    for (const layer of ["memtable", "table"]) {
      const chunk = new Chunk(80_000);
      const lengths: number[] = [];
      for (const _ of db.scan().chunks(chunk)) lengths.push(chunk.length);
      const found: number[] = [];
      for (const { bytes, places } of db.scan().chunks(chunk)) {
        found.push(chunk.length);
        const transfer = [bytes.buffer, places.buffer];
        structuredClone([bytes, places], { transfer });
        assertEquals([chunk.bytes.length, chunk.places.length], [0, 0]);
      }
      assertEquals(found, lengths, layer);
      assertEquals(rowsByChunks(db.scan(), chunk), [...db.scan()]);
      await db.flush();
    }
  }, QUIET));

test("a chunk without room whose memory went to another thread gets new memory", () =>
  withDb(async (db) => {
    await db.put("", "");
    for (const name of ["bytes", "places"] as const) {
      const [empty] = db.scan().chunks();
      for (const chunk of [empty, new Chunk(0)]) {
        const { buffer } = chunk[name];
        structuredClone(buffer, { transfer: [buffer] });
        assertEquals(rowsByChunks(db.scan(), chunk), [...db.scan()], name);
      }
    }
    await db.put("a", "hello");
    for (const name of ["bytes", "places"] as const) {
      const chunk = new Chunk(0);
      const { buffer } = chunk[name];
      structuredClone(buffer, { transfer: [buffer] });
      assertEquals(rowsByChunks(db.scan(), chunk), [...db.scan()], name);
    }
  }));

test("walks side by side do not disturb each other, nor a chunk that is filled again", () =>
  withDb(async (db) => {
    await fillLayers(db);
    const given = new Chunk(3000);
    for (const _ of db.scan({ gte: keyOf(50) }).chunks(given)) {
      const before = rowsIn(partsOf(given));
      checkAll(db, { lt: keyOf(90) });
      for (const _ of db.scan().chunks()) break;
      assertEquals(rowsIn(partsOf(given)), before);
      if (before.length > 2) break;
    }
    const kept = rowsIn(partsOf(given));
    const walks = [{}, { reverse: true }, { gt: keyOf(77) }, { limit: 5 }]
      .map((options) => ({
        walk: db.scan(options).chunks(),
        expected: [...db.scan(options)],
        found: [] as Row[],
      }));
    for (let open = walks.length; open > 0;) {
      open = 0;
      for (const { walk, found } of walks) {
        const { done, value } = walk.next();
        if (done) continue;
        found.push(...rowsIn(partsOf(value)));
        open++;
      }
    }
    for (const { found, expected } of walks) assertEquals(found, expected);
    assertEquals(rowsIn(partsOf(given)), kept);
    assertEquals(db.stats().openScans, 0);
  }, QUIET));

test("a table that cannot be read ends the walk, and leaves no rows in the chunk", () =>
  withMemoryDb(async (db, files) => {
    for (let i = 0; i < 300; i++) await db.put(numbered("k", i), filled(500));
    await db.flush();
    for (const reverse of [false, true]) {
      // What was read ahead ends within the second chunk.
      const chunk = new Chunk(40_000);
      const walk = db.scan({ reverse }).chunks(chunk);
      assertEquals(walk.next().value, chunk);
      const fault = failOn(files, { operation: "read", kind: "table" });
      throwsWith("IO", () => {
        for (const { length } of walk) assertGreater(length, 0);
      });
      fault.stop();
      assertEquals([chunk.length, db.stats().openScans], [0, 0]);
      throwsWith("CLOSED", () => walk.next());
      // The chunk is as good as before.
      assertEquals(rowsByChunks(db.scan({ reverse }), chunk).length, 300);
    }
  }, QUIET));

test("a walk by chunks sees the moment of its creation", () =>
  withDb(async (db) => {
    await fillLayers(db);
    const expected = [...db.scan()];
    const seen: Row[] = [];
    for (const chunk of db.scan().chunks(new Chunk(2000))) {
      seen.push(...rowsIn(partsOf(chunk)));
      await db.put(keyOf(seen.length + 40), "later");
      await db.delete(keyOf(seen.length + 41));
      if (seen.length % 3 === 0) await db.flush();
      if (seen.length % 7 === 0) await db.majorCompact();
    }
    assertEquals(seen, expected);
  }, QUIET));

test("key() and value() go through the codecs; a codec that throws spoils nothing else", () =>
  withTempDir(async (dir) => {
    const values: Codec<number> = {
      encode: (n) => bytes(`${n}`),
      decode(stored) {
        const n = Number(text(stored));
        if (n === 3) throw new RangeError("three");
        return n;
      },
    };
    await using db = await open(`${dir}/db`, { keys: utf8, values });
    for (let i = 0; i < 6; i++) await db.put(`${i}`, i);
    const reuse = new Chunk<string, number>();
    for (const given of [undefined, reuse]) {
      for (const chunk of db.scan().chunks(given)) {
        assertEquals([chunk.key(2), chunk.value(2)], ["2", 2]);
        let caught: unknown;
        try {
          chunk.value(3);
        } catch (error) {
          caught = error;
        }
        assert(caught instanceof RangeError);
        assertEquals([chunk.key(3), chunk.value(4)], ["3", 4]);
      }
      assertEquals(db.stats().openScans, 0);
    }
    await using documents = await open(`${dir}/other`, {
      values: json<{ n: number }>(),
    });
    await documents.put("a", { n: 1 });
    const [chunk] = documents.scan().chunks();
    assertEquals(chunk.value(0).n, 1);
    assertEquals(chunk.key(0), bytes("a"));
    assertEquals(documents.stats().openScans, 0);
  }));

test("key() and value() of a row that is not there", () =>
  withDb(async (db) => {
    await db.put("a", "1");
    await db.put("b", "2");
    const [chunk] = db.scan().chunks();
    const odd = [Symbol("1"), Object.create(null), "0"];
    for (const row of [-1, 2, 0.5, NaN, Infinity, ...odd]) {
      throwsWith("INVALID_ARGUMENT", () => chunk.key(row));
      throwsWith("INVALID_ARGUMENT", () => chunk.value(row));
    }
    throwsWith("INVALID_ARGUMENT", () => new Chunk().key(0));
  }));

test("a chunk has room for 0 bytes to 1 GiB; nothing else is filled", () =>
  withDb(async (db) => {
    for (const room of [-1, 1.5, NaN, Infinity, 2 ** 30 + 1]) {
      throwsWith("INVALID_ARGUMENT", () => new Chunk(room));
    }
    for (const odd of [Symbol("1"), Object.create(null), "1", null]) {
      throwsWith("INVALID_ARGUMENT", () => new Chunk(odd));
    }
    await db.put("a", "1");
    using scan = db.scan();
    for (const other of [{}, null, 1000, new Uint8Array(9)]) {
      const wrong = other as unknown as Chunk;
      throwsWith("INVALID_ARGUMENT", () => scan.chunks(wrong));
    }
    assertEquals(rowsByChunks(scan), [[bytes("a"), bytes("1")]]);
  }));

test("a walk by chunks is closed when it ends, is broken out of or disposed", () =>
  withDb(async (db) => {
    const openScans = () => db.stats().openScans;
    await fillLayers(db);
    const scan = db.scan();
    rowsByChunks(scan);
    throwsWith("CLOSED", () => scan.chunks());
    throwsWith("CLOSED", () => scan.keys());
    assertEquals(openScans(), 0);
    for (const _ of db.scan().chunks()) break;
    for (const _ of db.scan().chunks(new Chunk())) break;
    assertEquals(openScans(), 0);
    {
      using walk = db.scan().chunks();
      walk.next();
      assertEquals(openScans(), 1);
    }
    assertEquals(openScans(), 0);
    const ended = db.scan({ limit: 1 }).chunks();
    assertEquals(ended.next().value.length, 1);
    assertEquals([ended.next().done, ended.next().done], [true, true]);
    assertEquals(openScans(), 0);
    const closed = db.scan().chunks();
    closed.next();
    closed[Symbol.dispose]();
    throwsWith("CLOSED", () => closed.next());
    // The memory of a walk that was closed may be the next one's.
    assertEquals(rowsByChunks(db.scan()), [...db.scan()]);
  }, QUIET));

test("for await over chunks ends, and gives way to the event loop", () =>
  withDb(async (db) => {
    for (let i = 0; i < 20_000; i++) db.put(numbered("key", i, 8), "value");
    await db.flush();
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    let count = 0;
    for await (const chunk of db.scan().chunks(new Chunk(1000))) {
      count += chunk.length;
      const until = performance.now() + 0.5;
      while (performance.now() < until);
    }
    clearInterval(timer);
    assertEquals(count, 20_000);
    assertGreater(turns, 2);
    for await (const _ of db.scan().chunks()) break;
    assertEquals(db.stats().openScans, 0);
  }, QUIET));

test("chunks() of a closed database, and of one that is closed meanwhile", () =>
  withTempDir(async (dir) => {
    const db = await open(`${dir}/db`, QUIET);
    await fillLayers(db);
    const early = db.scan();
    const walk = db.scan().chunks(new Chunk(100));
    const fresh = db.scan().chunks();
    walk.next();
    const { value } = fresh.next();
    const kept = rows(rowsIn(partsOf(value)).slice(0, 1));
    await db.close();
    throwsWith("CLOSED", () => early.chunks());
    throwsWith("CLOSED", () => walk.next());
    throwsWith("CLOSED", () => fresh.next());
    assertEquals(rows(rowsIn(partsOf(value)).slice(0, 1)), kept);
  }));
