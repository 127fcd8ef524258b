/** The tree as plain data: edits that fit, and those that do not. */
import { test } from "node:test";
import {
  decodeEdit,
  type Edit,
  encodeEdit,
} from "../../../lib/version/edit.ts";
import { TreeState } from "../../../lib/version/state.ts";
import { assert, assertEquals, assertExists } from "../../assert.ts";
import { metaOf } from "../support/metas.ts";

function table(number: number, level = 0) {
  return { level, table: metaOf({ number }) };
}

function log(number: number) {
  return { number, syncedLength: 30 + number };
}

function stateOf(...edits: Edit[]): TreeState {
  const state = new TreeState();
  for (const edit of edits) assertEquals(state.apply(edit), undefined);
  return state;
}

test("edits add up", () => {
  const state = stateOf(
    { nextFileNumber: 5, lastSequence: 10, addLogs: [log(3)] },
    { addTables: [table(4), table(5, 1)], addLogs: [log(6)] },
    { sealLogs: [{ number: 3, length: 99, lastSequence: 20 }] },
    { removeTables: [4], addTables: [table(7)], removeLogs: [3] },
    { lastSequence: 30, flushedSequence: 25 },
  );
  assertEquals(state.nextFileNumber, 5);
  assertEquals(state.lastSequence, 30);
  assertEquals(state.flushedSequence, 25);
  assertEquals([...state.tables.keys()], [5, 7]);
  assertEquals(state.metas().map(({ number }) => number), [5, 7]);
  assertEquals([...state.logs], [[6, { syncedLength: 36, seal: undefined }]]);
});

test("one edit may take a table away and put another in its place", () => {
  const state = stateOf({ addTables: [table(1), table(2)] });
  const edit = { removeTables: [1, 2], addTables: [table(3, 1)] };
  assertEquals(state.apply(edit), undefined);
  assertEquals([...state.tables.keys()], [3]);
});

test("one edit may add a log and seal it", () => {
  const seal = { number: 1, length: 50, lastSequence: 7 };
  const state = stateOf({ addLogs: [log(1)], sealLogs: [seal] });
  assertEquals(state.logs.get(1), {
    syncedLength: 31,
    seal: { length: 50, lastSequence: 7 },
  });
});

test("an edit that does not fit says what", () => {
  const seal = { number: 9, length: 1, lastSequence: 1 };
  const misfits: [edit: Edit, what: string][] = [
    [{ addTables: [table(1)] }, "adds table 1 again"],
    [{ removeTables: [9] }, "removes table 9"],
    [{ removeTables: [1, 1] }, "removes table 1"],
    [{ addLogs: [log(2)] }, "adds log 2 again"],
    [{ sealLogs: [seal] }, "seals log 9"],
    [{ removeLogs: [9] }, "removes log 9"],
  ];
  for (const [edit, what] of misfits) {
    const state = stateOf({ addTables: [table(1)], addLogs: [log(2)] });
    const misfit = state.apply(edit);
    assertExists(misfit);
    assert(misfit.startsWith(what), misfit);
  }
});

test("the snapshot makes the same state, through its bytes too", () => {
  const state = stateOf({
    nextFileNumber: 12,
    lastSequence: 34,
    flushedSequence: 31,
    addTables: [table(4), table(5, 1)],
    addLogs: [log(6), log(7)],
    sealLogs: [{ number: 6, length: 99, lastSequence: 20 }],
  });
  const read = decodeEdit(encodeEdit(state.snapshot()));
  assertExists(read);
  const again = stateOf(read);
  assertEquals(again.snapshot(), state.snapshot());
  assertEquals([...again.logs], [...state.logs]);
  assertEquals([...again.tables], [...state.tables]);
  assertEquals(again.lastSequence, 34);
  assertEquals(again.flushedSequence, 31);
});

test("a level that no tree has does not fit: room for all above it was made", () => {
  for (const level of [64, 2 ** 32, 2 ** 48]) {
    const state = new TreeState();
    assert(state.apply({ addTables: [table(1, level)] }) !== undefined);
    assert(state.misfit({ addTables: [table(2, level)] }) !== undefined);
  }
  assertEquals(new TreeState().apply({ addTables: [table(1, 63)] }), undefined);
});
