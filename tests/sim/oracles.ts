/**
 * What must hold of a database, whatever happened to it.
 *
 * @module
 */
import {
  Chunk,
  type Db,
  type Snapshot,
  type Stats,
  VarveError,
} from "../../mod.ts";
import { kindOf } from "../engine/support/files.ts";
import type { ReadonlyDb } from "../../lib/readonly_db.ts";
import type { TextRange } from "../engine/support/key_text.ts";
import type { BootedFiles, Disk } from "./disk.ts";
import type { Ledger, Window } from "./ledger.ts";
import type { Life } from "./life.ts";
import {
  areEqual,
  fromBytes,
  Model,
  type Row,
  rowOf,
  show,
  toByteRange,
  toBytes,
} from "./model.ts";
import type { SeededDice } from "./random.ts";

/** Where the database lies. */
export const PATH = "/data/db";

/** Room for most values. */
const TARGET: Uint8Array = new Uint8Array(16 * 1024);
/** Small, so that rows go from one filling to the next. */
const CHUNK: Chunk = new Chunk(300);

/** The engine has done what it must not do. */
export class Violation extends Error {
  override readonly name: string = "Violation";
}

/** Whatever reads. */
export type AnyReader = Db | Snapshot | ReadonlyDb;

/** Throws a {@linkcode Violation} unless something holds. */
export function must(holds: boolean, otherwise: () => string): asserts holds {
  if (!holds) throw new Violation(otherwise());
}

/** Compares a scan with the rows that it should give. */
export function checkScan(
  reader: AnyReader,
  model: Model,
  range: TextRange,
  reverse: boolean,
  limit: number,
): void {
  const expected = model.rows(range, reverse, limit);
  let at = 0;
  const scan = reader.scan({ ...toByteRange(range), reverse, limit });
  // Either way reads the same, so this takes no dice: seeds stay what they are.
  if (expected.length % 2 === 0) {
    for (const [key, value] of scan) checkRow(expected[at++], key, value);
  } else {
    for (const chunk of scan.chunks(CHUNK)) {
      for (let row = 0; row < chunk.length; row++) {
        checkRow(expected[at++], chunk.key(row), chunk.value(row));
      }
    }
  }
  must(
    at === expected.length,
    () => `a scan ended before ${JSON.stringify(expected[at].key)}`,
  );
}

/** Compares a row of a scan with the one that is due. */
export function checkRow(
  expected: Row | undefined,
  key: Uint8Array,
  value: Uint8Array,
): void {
  const name = JSON.stringify(fromBytes(key));
  must(expected !== undefined, () => `a scan gave ${name}, behind its end`);
  must(
    fromBytes(key) === expected.key,
    () => `a scan gave ${name} in place of ${JSON.stringify(expected.key)}`,
  );
  must(
    areEqual(value, expected.value),
    () => `a scan gave ${show(value)} for ${name}, not ${show(expected.value)}`,
  );
}

/** Compares what a lookup gave with what it should give. */
export function checkValue(
  key: string,
  found: Uint8Array | undefined,
  model: Model,
): void {
  const expected = model.get(key)?.value;
  must(
    areEqual(found, expected),
    () =>
      `${JSON.stringify(key)} gave ${show(found)} in place of ${
        show(expected)
      }`,
  );
}

/** What a lookup leaves in memory of the caller's. */
function getInto(
  reader: AnyReader,
  key: Uint8Array,
): Uint8Array | undefined {
  let target = TARGET;
  const length = reader.getInto(key, target, 1);
  if (length === undefined) return undefined;
  if (length > target.length - 1) {
    target = new Uint8Array(length + 1);
    must(
      reader.getInto(key, target, 1) === length,
      () => `the length of ${JSON.stringify(fromBytes(key))} changed`,
    );
  }
  return target.slice(1, length + 1);
}

/** Looks keys up in each way there is. */
export function checkGets(
  reader: AnyReader,
  model: Model,
  keys: readonly string[],
): void {
  for (const [i, key] of keys.entries()) {
    const bytes = toBytes(key);
    const found = i % 2 === 0 ? reader.get(bytes) : getInto(reader, bytes);
    checkValue(key, found, model);
    must(
      reader.has(bytes) === (model.get(key) !== undefined),
      () => `has(${JSON.stringify(key)}) is wrong`,
    );
  }
  const many = reader.getMany(keys.map(toBytes));
  keys.forEach((key, i) => checkValue(key, many[i], model));
}

/** The rows of a database, as a model. */
export function readAll(reader: AnyReader, reverse = false): Model {
  const rows: Row[] = [];
  for (const [key, value] of reader.scan({ reverse })) {
    rows.push(rowOf(fromBytes(key), value));
  }
  if (reverse) rows.reverse();
  return new Model(rows);
}

/**
 * Which state of a window a database is in.
 *
 * @param sequence The last that the database knows: a state that a higher one
 * made would have it used again. (States that look the same may differ in it.)
 */
export function stateOf(
  reader: AnyReader,
  ledger: Ledger,
  window: Window,
  sequence = Infinity,
): number {
  const { print, size } = readAll(reader);
  const state = ledger.find(print, size, window, sequence);
  if (state >= 0) return state;
  const unnumbered = ledger.find(print, size, window);
  must(
    unnumbered < 0,
    () =>
      `sequences behind ${sequence} would be used again, ` +
      `up to ${ledger.sequenceAt(unnumbered)}`,
  );
  throw new Violation(describeMiss(readAll(reader), ledger, window));
}

function describeMiss(found: Model, ledger: Ledger, window: Window): string {
  const { first, last } = window;
  const all = { first: 0, last: ledger.last };
  const other = ledger.find(found.print, found.size, all);
  if (other >= 0) {
    return `it is in state ${other}; ${first} was promised, ${last} is the newest`;
  }
  const expected = ledger.modelAt(first);
  const differences: string[] = [];
  const compare = (a: Model, b: Model, words: (row: Row) => string) => {
    for (const row of a.all) {
      if (!areEqual(b.get(row.key)?.value, row.value)) {
        differences.push(words(row));
      }
    }
  };
  compare(
    expected,
    found,
    ({ key, value }) => `-${JSON.stringify(key)} ${show(value)}`,
  );
  compare(
    found,
    expected,
    ({ key, value }) => `+${JSON.stringify(key)} ${show(value)}`,
  );
  return `it is in no state (${first} to ${last} would do); against ${first}: ` +
    differences.slice(0, 12).join(", ");
}

/** Everything by every way to read. */
export function checkEverything(reader: AnyReader, model: Model): void {
  checkScan(reader, model, {}, false, Infinity);
  checkScan(reader, model, {}, true, Infinity);
  checkGets(reader, model, model.all.map(({ key }) => key));
}

/** Some keys that there are, and some that there are not. */
export function someKeys(
  model: Model,
  dice: SeededDice,
  count: number,
): string[] {
  return Array.from({ length: count }, () => {
    const key = model.size === 0 ? "" : model.all[dice.below(model.size)].key;
    return dice.chance(0.3) ? `${key}~` : key;
  });
}

/**
 * Files that no version names, but for tables that are `made`: none may be
 * there right after opening.
 */
export function orphansOf(
  disk: Disk,
  stats: Stats,
  made: ReadonlySet<string> = new Set(),
): string[] {
  const names = disk.list().filter(({ path }) => path.startsWith(`${PATH}/`))
    .map(({ path }) => path.slice(PATH.length + 1));
  const orphans: string[] = [];
  const count = (kind: ReturnType<typeof kindOf>, most: number) => {
    const found = names.filter((name) => kindOf(name) === kind).sort();
    const old = found.filter((name) => !made.has(`${PATH}/${name}`));
    const left = (kind === "table" ? old : found).length - most;
    if (left > 0) orphans.push(`${left} of ${found.join(" ")}`);
    must(
      found.length >= most,
      () => `${most - found.length} files of kind ${kind} are missing`,
    );
  };
  count("table", stats.tableCount);
  count("log", stats.wal.files);
  count("manifest", 1);
  count("current", 1);
  if (names.includes("CURRENT.tmp")) orphans.push("CURRENT.tmp");
  return orphans;
}

/** Orphans of a database just opened; a merge begun by the opening is first let come to its end, and be rid of its inputs. */
export async function orphansLeft(
  look: () => string[],
  idle: () => Promise<void>,
): Promise<string[]> {
  if (look().length === 0) return [];
  await idle();
  return look();
}

/** Whatever reads says that the database is closed; readers of other threads let go of their files then. */
export function checkClosed({ db, snapshots, readers }: Life): void {
  const all = [
    db,
    ...snapshots.map(({ snapshot }) => snapshot),
    ...readers.map(({ reader }) => reader),
  ];
  for (const reader of all) {
    let code = "none";
    try {
      reader.get("");
    } catch (error) {
      code = error instanceof VarveError ? error.code : String(error);
    }
    must(code === "CLOSED", () => `a read of a closed database gave ${code}`);
  }
}

/** Nothing is held any more. */
export function checkLetGo(files: BootedFiles): void {
  must(
    files.openHandles.length === 0,
    () => `left open: ${files.openHandles.join(" ")}`,
  );
  must(
    files.locks.length === 0,
    () => `still locked: ${files.locks.join(" ")}`,
  );
}
