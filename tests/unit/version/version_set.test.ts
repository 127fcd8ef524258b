/** The version set: an edit is durable before it is true, and files go last. */
import { test } from "node:test";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { readCurrent } from "../../../lib/version/current.ts";
import { fileName } from "../../../lib/version/files.ts";
import { readManifest } from "../../../lib/version/manifest.ts";
import { TreeState } from "../../../lib/version/state.ts";
import { VersionSet } from "../../../lib/version/version_set.ts";
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertLess,
} from "../../assert.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { put, toBytes } from "../support/entries.ts";
import { metaOf } from "../support/metas.ts";
import {
  lookUpIn,
  newContext,
  newFiles,
  tablePath,
  writeTable,
} from "../support/tables.ts";

interface Made {
  readonly files: MemoryFileSystem;
  readonly versions: VersionSet;
}

function make(files = newFiles()): Made {
  const versions = new VersionSet("/db", new TreeState(), newContext(files));
  versions.install({});
  return { files, versions };
}

/** What an opening would read. */
function stateIn(files: MemoryFileSystem): TreeState {
  const { manifest, snapshotLength } = readCurrent(files, "/db");
  const path = `/db/${fileName("manifest", manifest)}`;
  return readManifest(files, path, manifest, snapshotLength).state;
}

/** A table with one key, written under a new number. */
function newTable({ files, versions }: Made, key = "k"): TableMeta {
  const number = versions.newFileNumber();
  const meta = writeTable(files, number, [put(key, number, "value")]);
  assertExists(meta);
  files.syncDirectory("/db");
  return meta;
}

function log(number: number) {
  return { number, syncedLength: 36 };
}

function numbers(versions: VersionSet): number[] {
  return versions.current.tables.map((table) => table.meta.number);
}

function failOn(
  files: MemoryFileSystem,
  operation: string,
  part: string,
): void {
  files.onOperation = (happening, path) => {
    if (happening !== operation || !path.includes(part)) return;
    throw Object.assign(new Error("made by the test"), { code: "EIO" });
  };
}

test("install() makes a manifest that CURRENT names, durably", () => {
  const { files } = make();
  const survived = files.afterPowerLoss();
  assertEquals(stateIn(survived).tables.size, 0);
  assertEquals(survived.list("/db").sort(), ["CURRENT", "MANIFEST-000001"]);
});

test("commit() makes an edit durable, and then true", () => {
  const made = make();
  const { files, versions } = made;
  const table = newTable(made);
  const before = versions.current;
  versions.commit({ addTables: [{ level: 0, table }], lastSequence: 7 });
  const state = stateIn(files.afterPowerLoss());
  assertEquals([...state.tables.keys()], [table.number]);
  assertEquals(state.lastSequence, 7);
  assertGreater(state.nextFileNumber, table.number);
  assertEquals(numbers(versions), [table.number]);
  assertEquals(before.tables.length, 0, "a version changed");
});

test("file numbers are given once, across openings that commit something", () => {
  const made = make();
  const { files, versions } = made;
  const first = versions.newFileNumber();
  const second = versions.newFileNumber();
  assertEquals(second, first + 1);
  versions.commit({});
  const state = stateIn(files);
  const again = new VersionSet("/db", state, newContext(files));
  assertEquals(again.newFileNumber(), second + 1);
});

test("levels and ages order the tables of a version", () => {
  const made = make();
  const { versions } = made;
  const [a, b, c] = [newTable(made), newTable(made), newTable(made)];
  versions.commit({
    addTables: [
      { level: 0, table: a },
      { level: 2, table: c },
      { level: 0, table: b },
    ],
  });
  assertEquals(
    versions.current.levels.map((level) => level.map((t) => t.meta.number)),
    [[b.number, a.number], [], [c.number]],
  );
  assertEquals(numbers(versions), [c.number, b.number, a.number]);
});

test("a removed table's file goes once no version that names it is used", () => {
  const made = make();
  const { files, versions } = made;
  const table = newTable(made);
  versions.commit({ addTables: [{ level: 0, table }] });
  const held = versions.current;
  held.retain();
  versions.commit({ removeTables: [table.number] });
  assertEquals(numbers(versions), []);
  assert(files.stat(tablePath(table.number)) !== undefined);
  assertEquals(lookUpIn(held.tables[0], "k", 1e6).sequence, table.newest);
  held.release();
  assertEquals(files.stat(tablePath(table.number)), undefined);
});

test("a table that stays is the same reader in the next version: what it has in memory stays", () => {
  const made = make();
  const { versions } = made;
  const [a, b] = [newTable(made), newTable(made)];
  versions.commit({ addTables: [{ level: 0, table: a }] });
  const [reader] = versions.current.tables;
  versions.commit({ addTables: [{ level: 0, table: b }] });
  assert(versions.current.tables.includes(reader));
});

test("removed logs go behind the edit; sealed ones are counted", () => {
  const { files, versions } = make();
  const [one, two] = [versions.newFileNumber(), versions.newFileNumber()];
  for (const number of [one, two]) {
    files.writeFile(versions.path("log", number), new Uint8Array(50));
  }
  versions.commit({ addLogs: [log(two), log(one)] });
  assertEquals(versions.logs, [one, two]);
  assertEquals(versions.sealedLogBytes, 0);
  const seal = { number: one, length: 44, lastSequence: 3 };
  versions.commit({ sealLogs: [seal] });
  assertEquals(versions.sealedLogBytes, 44);
  versions.commit({ removeLogs: [one] });
  assertEquals(versions.logs, [two]);
  assertEquals(files.stat(versions.path("log", one)), undefined);
});

for (const operation of ["write", "sync"]) {
  test(`after a failed ${operation} of the manifest nothing is changed, written or removed any more`, () => {
    const made = make();
    const { files, versions } = made;
    const table = newTable(made);
    versions.commit({ addTables: [{ level: 0, table }] });
    failOn(files, operation, "MANIFEST");
    throwsWith("IO", () => versions.commit({ removeTables: [table.number] }));
    assertEquals(numbers(versions), [table.number]);
    files.onOperation = undefined;
    files.resetCounts();
    throwsWith("READ_ONLY", () => versions.commit({ lastSequence: 9 }));
    throwsWith("READ_ONLY", () => versions.install({}));
    assertEquals([files.counts.write, files.counts.sync], [0, 0]);
    versions.close();
    assert(files.stat(tablePath(table.number)) !== undefined);
    assertEquals(files.counts.remove, 0);
  });
}

const STEPS: [operation: string, part: string][] = [
  ["create", "MANIFEST"],
  ["write", "MANIFEST"],
  ["sync", "MANIFEST"],
  ["create", "CURRENT.tmp"],
  ["write", "CURRENT.tmp"],
  ["sync", "CURRENT.tmp"],
  ["rename", "CURRENT.tmp"],
];

for (const [operation, part] of STEPS) {
  test(`an install that fails at the ${operation} of ${part} leaves the old manifest`, () => {
    const { files, versions } = make();
    versions.commit({ lastSequence: 5 });
    failOn(files, operation, part);
    throwsWith("IO", () => versions.install({ lastSequence: 6 }));
    files.onOperation = undefined;
    assertEquals(stateIn(files.afterPowerLoss()).lastSequence, 5);
    throwsWith("READ_ONLY", () => versions.commit({}));
  });
}

test("an edit that does not fit is refused", () => {
  const { versions } = make();
  throwsWith("CORRUPTION", () => versions.commit({ removeTables: [77] }));
});

test("a table that changes its level is the same reader, and its file stays", () => {
  const made = make();
  const { files, versions } = made;
  const table = newTable(made);
  versions.commit({ addTables: [{ level: 0, table }] });
  const [reader] = versions.current.tables;
  versions.commit({
    removeTables: [table.number],
    addTables: [{ level: 3, table }],
  });
  assertEquals(versions.current.levels.map((level) => level.length), [
    0,
    0,
    0,
    1,
  ]);
  assert(versions.current.tables[0] === reader);
  assertExists(files.stat(tablePath(table.number)));
  assertEquals(stateIn(files).tables.get(table.number)?.level, 3);
  // Later it goes as any other.
  versions.commit({ removeTables: [table.number] });
  assertEquals(files.stat(tablePath(table.number)), undefined);
});

test("an edit that makes tables of a level overlap is refused, and nothing is written or changed", () => {
  const made = make();
  const { files, versions } = made;
  const meta = (smallest: string, largest: string) =>
    metaOf({
      number: versions.newFileNumber(),
      smallest: toBytes(smallest),
      largest: toBytes(largest),
    });
  const [a, b, c] = [meta("a", "f"), meta("e", "k"), meta("g", "k")];
  versions.commit({ addTables: [{ level: 2, table: a }] });
  const before = versions.current;
  files.resetCounts();
  const overlapping = { addTables: [{ level: 2, table: b }] };
  throwsWith("CORRUPTION", () => versions.commit(overlapping));
  assertEquals([files.counts.write, files.counts.sync], [0, 0]);
  assert(versions.current === before);
  // Elsewhere they may overlap, and with the other gone it fits.
  versions.commit({ addTables: [{ level: 0, table: b }] });
  versions.commit({ addTables: [{ level: 2, table: c }] });
  versions.commit({
    removeTables: [a.number, b.number, c.number],
    addTables: [{ level: 2, table: b }],
  });
  assertEquals(numbers(versions), [b.number]);
});

test("an edit that does not fit is refused before it is written", () => {
  const { files, versions } = make();
  files.resetCounts();
  throwsWith("CORRUPTION", () => versions.commit({ removeTables: [77] }));
  assertEquals([files.counts.write, files.counts.sync], [0, 0]);
  versions.commit({ lastSequence: 3 });
  assertEquals(stateIn(files).lastSequence, 3);
});

test("file numbers can be reserved in a row", () => {
  const { versions } = make();
  const first = versions.reserveFileNumbers(5);
  assertEquals(versions.newFileNumber(), first + 5);
});

test("a fresh manifest takes the old one's place when that has outgrown it", () => {
  const { files, versions } = make();
  const smallest = new Uint8Array(64 * 1024);
  let replaced = 0;
  let name = "MANIFEST-000001";
  for (let i = 0; i < 100 && replaced < 3; i++) {
    const number = versions.newFileNumber();
    const table = metaOf({ number, smallest, largest: smallest });
    versions.commit({ addTables: [{ level: 0, table }] });
    versions.commit({ removeTables: [number], lastSequence: i });
    const manifests = files.list("/db").filter((n) => n.startsWith("MANIFEST"));
    assertEquals(manifests.length, 1, "the old one stays");
    assertEquals(stateIn(files).lastSequence, i);
    if (manifests[0] === name) continue;
    name = manifests[0];
    replaced++;
    assertLess(files.readFile(`/db/${name}`).length, 200_000);
    assertGreater(versions.newFileNumber(), number + 1);
  }
  assertEquals(replaced, 3);
});

test("what cannot be removed does no harm", () => {
  const made = make();
  const { files, versions } = made;
  const table = newTable(made);
  versions.commit({ addTables: [{ level: 0, table }] });
  failOn(files, "remove", ".vtab");
  versions.commit({ removeTables: [table.number] });
  files.onOperation = undefined;
  versions.commit({ lastSequence: 9 });
  assertEquals(stateIn(files).lastSequence, 9);
});

test("after close() an edit is CLOSED", () => {
  const { versions } = make();
  versions.close();
  throwsWith("CLOSED", () => versions.commit({}));
});

test("an install of an edit that does not fit leaves the old manifest, and nothing is written any more", () => {
  const { files, versions } = make();
  const before = files.list("/db");
  throwsWith("CORRUPTION", () => versions.install({ removeTables: [99] }));
  assertEquals(files.list("/db"), before);
  assertEquals(stateIn(files).tables.size, 0);
  throwsWith("READ_ONLY", () => versions.commit({}));
});

test("manifestPlace says which manifest is written and how far; there is none before the first and after the end", () => {
  const files = newFiles();
  const versions = new VersionSet("/db", new TreeState(), newContext(files));
  throwsWith("CLOSED", () => versions.manifestPlace);
  throwsWith("CLOSED", () => versions.commit({}));
  versions.install({});
  versions.commit({ lastSequence: 5 });
  const { number, length } = versions.manifestPlace;
  const path = versions.path("manifest", number);
  assertEquals(length, files.readFile(path).length);
  versions.close();
  throwsWith("CLOSED", () => versions.manifestPlace);
});

test("what an edit makes superfluous is there until onCommit was called: a table, a log, a manifest", () => {
  const made = make();
  const { files, versions } = made;
  const table = newTable(made);
  const number = versions.newFileNumber();
  files.writeFile(versions.path("log", number), new Uint8Array(36));
  versions.commit({
    addTables: [{ level: 0, table }],
    addLogs: [log(number)],
  });
  const old = versions.manifestPlace.number;
  const paths = [
    versions.path("table", table.number),
    versions.path("log", number),
    versions.path("manifest", old),
  ];
  const seen: boolean[][] = [];
  versions.onCommit = () =>
    seen.push(paths.map((path) => files.stat(path) !== undefined));
  versions.commit({ removeTables: [table.number], removeLogs: [number] });
  versions.install({});
  assertEquals(seen, [[true, true, true], [false, false, true]]);
  assertEquals(files.stat(paths[2]), undefined);
  assertEquals(versions.manifestPlace.number > old, true);
});

test("after a failed append not even what a scan gives back is removed: the edit that removes it is there, others may not be", () => {
  const made = make();
  const { files, versions } = made;
  const table = newTable(made);
  versions.commit({ addTables: [{ level: 0, table }] });
  const scanned = versions.current;
  scanned.retain();
  versions.commit({ removeTables: [table.number] });
  failOn(files, "write", "MANIFEST");
  throwsWith("IO", () => versions.commit({}));
  files.onOperation = undefined;
  scanned.release();
  assert(files.stat(tablePath(table.number)) !== undefined);
});
