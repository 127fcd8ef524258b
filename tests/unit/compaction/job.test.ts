/** Jobs end to end: tables in, a table out, and no reader sees a difference. */
import { test } from "node:test";
import {
  ElisionByLookup,
  ElisionByRange,
  keepTombstones,
} from "../../../lib/compaction/elision.ts";
import {
  inputOfRuns,
  type Job,
  type JobInput,
  type JobOutput,
  type JobRules,
  mergeIntoTables,
  wouldDrop,
} from "../../../lib/compaction/job.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { firstOverlap } from "../../../lib/sstable/sorted_run.ts";
import type { Table } from "../../../lib/sstable/table.ts";
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertLess,
  assertLessOrEqual,
  assertThrows,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { rejectsWith, throwsWith } from "../../engine/support/errors.ts";
import { diskError } from "../../engine/support/memory.ts";
import { Random } from "../../engine/support/random.ts";
import { viewsOf } from "../../engine/support/views.ts";
import { type Entry, ListCursor, put, tombstone } from "../support/entries.ts";
import { addTo } from "../support/memtables.ts";
import { randomKey, smallKey } from "../support/keys.ts";
import { type Layer, randomLayers, visibleRows } from "../support/layers.ts";
import { fragmentsOf } from "../support/ranges.ts";
import {
  DIRECTORY,
  layerOf,
  newContext,
  newFiles,
  openTable,
  tablePath,
  tablesOf,
  writeTable,
} from "../support/tables.ts";

const OUTPUT_NUMBER = 99;

function outputTo(files: MemoryFileSystem): JobOutput {
  return {
    files,
    directory: DIRECTORY,
    firstNumber: OUTPUT_NUMBER,
    count: 1,
    blockSize: 256,
    bloomBitsPerKey: 10,
    compression: "none",
    created: 42,
  };
}

function inputOf(tables: readonly Table[]): JobInput {
  return inputOfRuns(tables.map((table) => [table]));
}

/** A merge without cuts. */
function* mergeIntoTable(
  input: JobInput,
  rules: JobRules,
  output: JobOutput,
): Job<TableMeta | undefined> {
  const tables = yield* mergeIntoTables(input, rules, output);
  assertLessOrEqual(tables.length, 1);
  return tables[0];
}

/** Input that is made of plain layers. */
function inputOfLayers(layers: readonly Layer[]): JobInput {
  const all = layers.flatMap(({ entries, ranges }) => [...entries, ...ranges]);
  return {
    openCursors: () => layers.map(({ entries }) => new ListCursor(entries)),
    fragments: () => layers.map(({ ranges }) => fragmentsOf(ranges)),
    oldest: Math.min(...all.map(({ sequence }) => sequence)),
    entries: all.length,
  };
}

/** Runs a job to its end that writes too little to wait for anything; the result, and how often it gave way. */
function run<T>(job: Job<T>): { result: T; pauses: number } {
  for (let pauses = 0;; pauses++) {
    const { done, value } = job.next();
    if (done) return { result: value, pauses };
    if (value !== undefined) throw new Error("the job has to be waited for");
  }
}

/** Runs a job to its end, waiting for what it waits for; the same, and how often it waited. */
async function runWaiting<T>(
  job: Job<T>,
): Promise<{ result: T; pauses: number; waits: number }> {
  let waits = 0;
  for (let pauses = 0;; pauses++) {
    const { done, value } = job.next();
    if (done) return { result: value, pauses, waits };
    if (value !== undefined) waits++;
    await value;
  }
}

function records({ entries, ranges }: Layer): number {
  return entries.length + ranges.length;
}

test("a merge made two views for each entry: on Bun they took up to 100 MB", async () => {
  const memtable = new Memtable(1, new ArenaPool(1 << 20, 1), 0);
  const entries: Entry[] = [];
  for (let i = 0; i < 2000; i++) {
    const key = `a key of more than a few bytes / ${100_000 + i} / ${i}`;
    const entry = put(key, i + 1, "v".repeat(100 + i % 50));
    addTo(memtable, entry);
    entries.push(entry);
  }
  const files = newFiles();
  const meta = writeTable(files, 1, entries, [], { blockSize: 4096 });
  assertExists(meta);
  const table = openTable({ files, path: tablePath(1), meta });
  const inputs = {
    memtable: { ...inputOfLayers([]), openCursors: () => [memtable.cursor()] },
    table: inputOf([table]),
  };
  for (const [what, input] of Object.entries(inputs)) {
    const output = { ...outputTo(newFiles()), blockSize: 4096 };
    const rules = { snapshots: [], elision: keepTombstones };
    const bounded = { ...input, oldest: 1, entries: 2000 };
    const merge = () => run(mergeIntoTable(bounded, rules, output));
    const views = await viewsOf(merge);
    assertLess(views, 500, what);
  }
});

test(
  "some tables of a tree are merged: no reader sees a difference",
  LONG,
  () => {
    let dropped = 0;
    for (let seed = 1; seed <= 150; seed++) {
      const random = new Random(seed);
      const operations = 20 + random.below(200);
      const layers = randomLayers(random, {
        operations,
        layers: 2 + random.below(5),
        key: random.chance(50) ? smallKey : randomKey,
        rangePercent: random.pick([0, 10, 30]),
        isInOrder: random.chance(60),
        doublePercent: random.pick([0, 5]),
      });
      const snapshots = [
        ...new Set([0, 1, 2].map(() => random.below(operations))),
      ]
        .slice(random.below(4)).sort((a, b) => a - b);
      const files = newFiles();
      const tables = tablesOf(layers, newContext(files));
      let inside = tables.filter(() => random.chance(50));
      if (inside.length === 0) inside = [random.pick(tables)];
      const outside = tables.filter((table) => !inside.includes(table));
      const metas = outside.map((table) => table.meta);
      const elision = random.pick([
        keepTombstones,
        new ElisionByRange(metas, Infinity),
        new ElisionByLookup(outside, Infinity, {
          bloomFallback: random.chance(50),
          rangeDrop: random.chance(50),
        }),
      ]);
      const message = `seed ${seed}, snapshots ${snapshots}`;
      const rules = { snapshots, elision };
      const would = run(wouldDrop(inputOf(inside), rules)).result;
      const meta =
        run(mergeIntoTable(inputOf(inside), rules, outputTo(files))).result;
      const after = outside.map(layerOf);
      let kept = 0;
      if (meta !== undefined) {
        const path = tablePath(OUTPUT_NUMBER);
        const merged = openTable({ files, path, meta });
        merged.verify();
        assertEquals(meta.created, 42);
        after.push(layerOf(merged));
        kept = records(layerOf(merged));
      }
      const before = tables.map(layerOf);
      for (const reader of [...snapshots, 2 ** 47]) {
        const where = `${message}, reader ${reader}`;
        assertEquals(
          visibleRows(after, reader),
          visibleRows(before, reader),
          where,
        );
      }
      // Fragments of many tables are cut at each other's bounds: only of one can
      // records be counted before and after.
      if (inside.length === 1) {
        const given = records(layerOf(inside[0]));
        assertEquals(would, kept < given, `${message}: ${given}, then ${kept}`);
        if (would) dropped++;
      }
    }
    assertGreater(dropped, 10);
  },
);

test(
  "a whole tree without snapshots becomes its rows and nothing else",
  LONG,
  () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = new Random(seed);
      const layers = randomLayers(random, {
        operations: 150,
        layers: 4,
        key: smallKey,
        rangePercent: 10,
        isInOrder: random.chance(50),
      });
      const files = newFiles();
      const tables = tablesOf(layers, newContext(files));
      const rules = {
        snapshots: [],
        elision: new ElisionByRange([], Infinity),
      };
      const meta =
        run(mergeIntoTable(inputOf(tables), rules, outputTo(files))).result;
      const rows = visibleRows(layers, 1000);
      const message = `seed ${seed}`;
      assertEquals(meta?.entries ?? 0, rows.length, message);
      assertEquals(meta?.tombstones ?? 0, 0, message);
      assertEquals(meta?.rangeTombstones ?? 0, 0, message);
      assertEquals(meta?.olderVersions ?? 0, 0, message);
    }
  },
);

test("a job that leaves nothing makes no table and no file", () => {
  const files = newFiles();
  const layers: Layer[] = [{
    entries: [put("a", 1), tombstone("a", 2)],
    ranges: [{ start: "x", end: "", sequence: 3 }],
  }];
  const rules = { snapshots: [], elision: new ElisionByRange([], Infinity) };
  const job = mergeIntoTable(inputOfLayers(layers), rules, outputTo(files));
  assertEquals(run(job).result, undefined);
  assertEquals(files.list(DIRECTORY), []);
});

test("the table is durable, its entry in the directory included, when the job is done", () => {
  const files = newFiles();
  const layers: Layer[] = [{ entries: [put("a", 1, "one")], ranges: [] }];
  const rules = { snapshots: [], elision: keepTombstones };
  const job = mergeIntoTable(inputOfLayers(layers), rules, outputTo(files));
  const { result: meta } = run(job);
  assertExists(meta);
  const survived = files.afterPowerLoss();
  assertEquals(survived.readFile(tablePath(OUTPUT_NUMBER)).length, meta.size);
});

const MANY: Layer[] = [{
  entries: Array.from(
    { length: 10_000 },
    (_, i) => put(`k${String(i).padStart(5, "0")}`, i + 1, "x".repeat(300)),
  ),
  ranges: [],
}];

test("a job gives way every 64 entries, kept or not", async () => {
  const files = newFiles();
  const rules = { snapshots: [], elision: keepTombstones };
  const kept = await runWaiting(
    mergeIntoTable(inputOfLayers(MANY), rules, outputTo(files)),
  );
  assertGreater(kept.pauses, 10_000 / 64 * 0.9);
  assertLess(kept.pauses, 10_000 / 64 * 1.2);
  const versions: Layer[] = [{
    entries: Array.from({ length: 10_000 }, (_, i) => put("k", i + 1)),
    ranges: [],
  }];
  const dropped = run(
    mergeIntoTable(inputOfLayers(versions), rules, outputTo(newFiles())),
  );
  assertEquals(dropped.result?.entries, 1);
  assertGreater(dropped.pauses, 10_000 / 64 * 0.9);
});

test("wouldDrop() gives way too, and stops at the first entry that would go", () => {
  const rules = { snapshots: [], elision: keepTombstones };
  const { result, pauses } = run(wouldDrop(inputOfLayers(MANY), rules));
  assertEquals(result, false);
  assertGreater(pauses, 10_000 / 64 * 0.9);
  let opened: ListCursor[] = [];
  const early: Layer[] = [{
    entries: [...MANY[0].entries, put("k00003", 20_000)],
    ranges: [],
  }];
  const input: JobInput = {
    ...inputOfLayers(early),
    openCursors: () => opened = [new ListCursor(early[0].entries)],
  };
  assertEquals(run(wouldDrop(input, rules)).result, true);
  assertLess(opened[0].steps, 200);
  assert(opened[0].isClosed);
});

test("a long job has what it wrote synced every megabyte, and waits for none but the last", async () => {
  const files = newFiles();
  const rules = { snapshots: [], elision: keepTombstones };
  const { result, waits } = await runWaiting(
    mergeIntoTable(inputOfLayers(MANY), rules, outputTo(files)),
  );
  assertExists(result);
  const megabytes = Math.floor(result.size / 2 ** 20);
  assertGreater(megabytes, 1);
  assertGreater(files.counts.sync, megabytes - 1);
  assertLessOrEqual(files.counts.sync, megabytes + 2);
  assertLessOrEqual(waits, 1);
  const survived = files.afterPowerLoss();
  assertEquals(survived.readFile(tablePath(OUTPUT_NUMBER)).length, result.size);
});

test("the disk has one table behind the one that is written, and no more", async () => {
  const files = newFiles();
  const ends: (() => void)[] = [];
  files.syncDelay = () => new Promise((resolve) => ends.push(resolve));
  const job = mergeIntoTables(
    inputOfLayers(MANY),
    { snapshots: [], elision: keepTombstones },
    { ...outputTo(files), count: 100 },
    { outputSize: 1_200_000, grandparents: [] },
  );
  let most = 0;
  for (let step = job.next(); !step.done; step = job.next()) {
    most = Math.max(most, ends.length);
    if (step.value === undefined) continue;
    assertGreater(ends.length, 0, "it waits for a sync");
    for (const end of ends.splice(0)) end();
    await step.value;
  }
  assertEquals(most, 2);
});

test("a job fails of which one sync failed, though all later ones would succeed", async () => {
  const files = newFiles();
  let syncs = 0;
  files.onOperation = (operation) => {
    if (operation === "sync" && syncs++ === 0) throw diskError();
  };
  const rules = { snapshots: [], elision: keepTombstones };
  await rejectsWith(
    "IO",
    () =>
      runWaiting(mergeIntoTable(inputOfLayers(MANY), rules, outputTo(files))),
  );
  assertEquals(files.list(DIRECTORY), []);
});

test("a job given up at any point leaves no file and closes its sources", async () => {
  const rules = { snapshots: [], elision: keepTombstones };
  const { pauses: pausesInAll } = await runWaiting(
    mergeIntoTable(inputOfLayers(MANY), rules, outputTo(newFiles())),
  );
  for (let at = 0; at <= pausesInAll; at += 13) {
    const files = newFiles();
    let opened: ListCursor[] = [];
    const job = mergeIntoTable(
      {
        ...inputOfLayers(MANY),
        openCursors: () => opened = [new ListCursor(MANY[0].entries)],
      },
      rules,
      outputTo(files),
    );
    for (let i = 0; i < at; i++) job.next();
    job.return(undefined);
    assertEquals(files.list(DIRECTORY), [], `given up at ${at}`);
    assert(opened.every((cursor) => cursor.isClosed), `given up at ${at}`);
  }
});

test("a job that fails anywhere leaves no file", async () => {
  const rules = { snapshots: [], elision: keepTombstones };
  for (
    const operation of ["create", "write", "sync", "syncDirectory"] as const
  ) {
    for (let nth = 1; nth <= 3; nth++) {
      const files = newFiles();
      let count = 0;
      files.onOperation = (happening) => {
        if (happening !== operation || ++count !== nth) return;
        throw Object.assign(new Error("made by the test"), { code: "EIO" });
      };
      const job = mergeIntoTable(inputOfLayers(MANY), rules, outputTo(files));
      const isOnce = operation === "create" || operation === "syncDirectory";
      if (isOnce && nth > 1) continue;
      await rejectsWith("IO", () => runWaiting(job));
      assertEquals(files.list(DIRECTORY), [], `${operation} ${nth}`);
    }
  }
});

const CUTTING = { outputSize: 100_000, grandparents: [] };

test("outputs end at their size, numbered in a row; when the numbers run out, the last one grows", async () => {
  const rules = { snapshots: [], elision: keepTombstones };
  const into = async (count: number) => {
    const files = newFiles();
    const output = { ...outputTo(files), count };
    const job = mergeIntoTables(inputOfLayers(MANY), rules, output, CUTTING);
    const { result: metas } = await runWaiting(job);
    return { files, metas };
  };
  const { files, metas } = await into(1000);
  assertGreater(metas.length, 25);
  assertEquals(
    metas.map((meta) => meta.number),
    metas.map((_, i) => OUTPUT_NUMBER + i),
  );
  for (const meta of metas.slice(0, -1)) {
    assertGreater(meta.size, 100_000);
    assertLess(meta.size, 115_000);
  }
  const tables = metas.map((meta) =>
    openTable({ files, path: tablePath(meta.number), meta })
  );
  assertEquals(firstOverlap(metas), undefined);
  const names = tables.flatMap((table) => layerOf(table).entries)
    .map((entry) => entry.key);
  assertEquals(names, MANY[0].entries.map((entry) => entry.key));
  const { metas: few } = await into(3);
  assertEquals(few.length, 3);
  assertGreater(few[2].size, few[1].size * 10);
});

test("a job of many outputs that fails or is given up removes them all", () => {
  const rules = { snapshots: [], elision: keepTombstones };
  const make = (files: MemoryFileSystem) =>
    mergeIntoTables(
      inputOfLayers(MANY),
      rules,
      { ...outputTo(files), count: 100 },
      CUTTING,
    );
  for (const at of [1, 20, 75, 150]) {
    const files = newFiles();
    const job = make(files);
    for (let i = 0; i < at; i++) job.next();
    if (at > 20) assertGreater(files.list(DIRECTORY).length, 1);
    job.return([]);
    assertEquals(files.list(DIRECTORY), [], `given up at ${at}`);
  }
  for (const operation of ["create", "write", "sync", "syncDirectory"]) {
    const files = newFiles();
    let count = 0;
    files.onOperation = (happening) => {
      const nth = operation === "syncDirectory" ? 1 : 9;
      if (happening !== operation || ++count !== nth) return;
      throw Object.assign(new Error("made by the test"), { code: "EIO" });
    };
    throwsWith("IO", () => run(make(files)));
    assertEquals(files.list(DIRECTORY), [], operation);
  }
});

test("all versions of a key stay in one table, however many snapshots need", () => {
  const files = newFiles();
  const entries = Array.from(
    { length: 3000 },
    (_, i) => put(`k${i % 3}`, i + 1, "x".repeat(100)),
  );
  const snapshots = entries.map((entry) => entry.sequence);
  const job = mergeIntoTables(
    inputOfLayers([{ entries, ranges: [] }]),
    { snapshots, elision: keepTombstones },
    { ...outputTo(files), count: 100 },
    { outputSize: 1000, grandparents: [] },
  );
  assertEquals(run(job).result.map((meta) => meta.entries), [1000, 1000, 1000]);
});

test("a run of tables is walked with one cursor, which opens them one after the other", () => {
  const files = newFiles();
  const layers: Layer[] = Array.from({ length: 20 }, (_, i) => ({
    entries: Array.from(
      { length: 50 },
      (_, j) => put(`k${100 + i} ${100 + j}`, i * 100 + j + 1, "x".repeat(50)),
    ),
    ranges: [],
  }));
  const tables = tablesOf(layers, newContext(files));
  const input = inputOfRuns([tables]);
  files.resetCounts();
  const cursors = input.openCursors();
  assertEquals([cursors.length, files.counts.open], [1, 0]);
  assertEquals(input.oldest, 1);
  cursors[0].seekToFirst();
  assertEquals(files.counts.open, 1);
  const job = mergeIntoTables(
    input,
    { snapshots: [], elision: keepTombstones },
    { ...outputTo(files), count: 100 },
    { outputSize: 5000, grandparents: [] },
  );
  const entries = run(job).result.reduce((sum, meta) => sum + meta.entries, 0);
  assertEquals(entries, 1000);
});

test("a source that is damaged fails the job: nothing is left out in silence", () => {
  const files = newFiles();
  const [table] = tablesOf(MANY, newContext(files));
  const bytes = files.readFile(table.path);
  bytes[Math.floor(bytes.length / 2)] ^= 1;
  files.writeFile(table.path, bytes);
  const rules = { snapshots: [], elision: keepTombstones };
  const job = mergeIntoTable(inputOf([table]), rules, outputTo(files));
  throwsWith("CORRUPTION", () => run(job));
  assertEquals(files.stat(tablePath(OUTPUT_NUMBER)), undefined);
  throwsWith("CORRUPTION", () => run(wouldDrop(inputOf([table]), rules)));
});

test("a cursor that cannot be opened fails the job and leaves no file", () => {
  const files = newFiles();
  const job = mergeIntoTable(
    {
      openCursors: () => {
        throw new Error("made by the test");
      },
      fragments: () => [],
      oldest: 1,
      entries: 1,
    },
    { snapshots: [], elision: keepTombstones },
    outputTo(files),
  );
  assertThrows(() => run(job), Error, "made by the test");
  assertEquals(files.list(DIRECTORY), []);
});

test("a probe of much that stays gives way all the while", () => {
  const files = newFiles();
  const entries = Array.from(
    { length: 2000 },
    (_, i) => put(`k${i + 10_000}`, i + 1),
  );
  const tables = tablesOf([{ entries, ranges: [] }], newContext(files));
  const elision = new ElisionByRange([], Infinity);
  const rules = { snapshots: [], elision };
  const { result, pauses } = run(wouldDrop(inputOf(tables), rules));
  assertEquals(result, false);
  assertGreater(pauses, 20);
});

test("a merge that fails says what failed, though its outputs cannot be removed either", () => {
  const files = newFiles();
  const entries = Array.from(
    { length: 200 },
    (_, i) => put(`k${i + 10_000}`, i + 1, "value"),
  );
  const tables = tablesOf([{ entries, ranges: [] }], newContext(files));
  let creates = 0;
  files.onOperation = (operation) => {
    if (operation === "remove") throw new Error("cannot be removed");
    if (operation === "create" && ++creates === 3) throw new Error("third");
  };
  const error = assertThrows(
    () =>
      run(mergeIntoTables(
        inputOf(tables),
        { snapshots: [], elision: keepTombstones },
        { ...outputTo(files), count: 10 },
        { outputSize: 500, grandparents: [] },
      )),
    Error,
  );
  assert(error.message.includes("third"), error.message);
  assertEquals(creates, 3);
  assertEquals(files.list(DIRECTORY).length, 3, "the input and two orphans");
});
