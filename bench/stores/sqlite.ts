/**
 * SQLite as a key-value store: one table clustered by the key, prepared
 * statements, a write-ahead log, the file locked once. "buffered" is
 * `synchronous = OFF` (the operating system has it), "sync" is FULL (every
 * commit is synced). Accepted writes share a transaction until they are to be
 * acknowledged; the same connection reads them at once.
 *
 * Long scans read pages of a thousand rows, each a query of its own that goes
 * on behind the last key: on every runtime that is faster than stepping, for it
 * crosses into C++ less often.
 *
 * @module
 */
import { join } from "node:path";
import { GroupCommit } from "./group_commit.ts";
import {
  CACHE_BYTES,
  type OpenSettings,
  type ScanRequest,
  type Store,
  type Visit,
  type VisitRow,
} from "./store.ts";

/** A prepared statement, by what it is used for. */
export interface Statement {
  run(...parameters: (Uint8Array | number)[]): void;
  /** The first column of the first row. */
  first(key: Uint8Array): Uint8Array | undefined;
  rows(...parameters: (Uint8Array | number)[]): [Uint8Array, Uint8Array][];
}

/** What an adapter of a binding gives. */
export interface Connection {
  execute(sql: string): void;
  prepare(sql: string): Statement;
  close(): void;
}

const CHUNK = 1000;
const MAPPED_BYTES = 4 * 1024 ** 3;

class Statements {
  readonly get: Statement;
  readonly put: Statement;
  readonly remove: Statement;
  readonly removeRange: Statement;
  readonly begin: Statement;
  readonly commit: Statement;
  /** By direction: from the end, from a key on, behind a key. */
  readonly forward: readonly [Statement, Statement, Statement];
  readonly backward: readonly [Statement, Statement, Statement];

  constructor(db: Connection) {
    const scan = (condition: string, order: string) =>
      db.prepare(
        `SELECT k, v FROM entries ${condition} ORDER BY k ${order} LIMIT ?`,
      );
    this.get = db.prepare("SELECT v FROM entries WHERE k = ?");
    this.put = db.prepare(
      "INSERT INTO entries VALUES (?, ?) " +
        "ON CONFLICT (k) DO UPDATE SET v = excluded.v",
    );
    this.remove = db.prepare("DELETE FROM entries WHERE k = ?");
    this.removeRange = db.prepare("DELETE FROM entries WHERE k >= ? AND k < ?");
    this.begin = db.prepare("BEGIN IMMEDIATE");
    this.commit = db.prepare("COMMIT");
    this.forward = [
      scan("", "ASC"),
      scan("WHERE k >= ?", "ASC"),
      scan("WHERE k > ?", "ASC"),
    ];
    this.backward = [
      scan("", "DESC"),
      scan("WHERE k <= ?", "DESC"),
      scan("WHERE k < ?", "DESC"),
    ];
  }
}

class SqliteStore extends GroupCommit implements Store {
  readonly getsAsync = false;
  readonly scansAsync = false;
  readonly seesOwnWrites = true;
  readonly #db: Connection;
  readonly #statements: Statements;
  #isInTransaction = false;

  constructor(db: Connection) {
    super();
    this.#db = db;
    this.#statements = new Statements(db);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#statements.get.first(key);
  }

  scan(request: ScanRequest, visit: VisitRow): void {
    const { from, limit = Infinity, reverse = false } = request;
    const { forward, backward } = this.#statements;
    const [fromEnd, fromKey, behindKey] = reverse ? backward : forward;
    const size = Math.min(limit, CHUNK);
    let rows = from === undefined
      ? fromEnd.rows(size)
      : fromKey.rows(from, size);
    for (let left = limit;;) {
      for (const [key, value] of rows) visit(key, value);
      left -= rows.length;
      const last = rows.at(-1);
      if (left <= 0 || rows.length < size || last === undefined) return;
      rows = behindKey.rows(last[0], Math.min(left, CHUNK));
    }
  }

  #begin(): void {
    if (this.#isInTransaction) return;
    this.#isInTransaction = true;
    this.#statements.begin.run();
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#begin();
    this.#statements.put.run(key, value);
  }

  delete(key: Uint8Array): void {
    this.#begin();
    this.#statements.remove.run(key);
  }

  room(): void {
    this.acknowledged();
  }

  acknowledged(): void {
    if (!this.#isInTransaction) return;
    this.#isInTransaction = false;
    this.#statements.commit.run();
  }

  batch(fill: (put: Visit) => void): void {
    this.#begin();
    fill((key, value) => this.#statements.put.run(key, value));
    this.acknowledged();
  }

  deleteRange(start: Uint8Array, end: Uint8Array): void {
    this.#statements.removeRange.run(start, end);
  }

  settle(): Promise<void> {
    this.#db.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#db.close();
    return Promise.resolve();
  }
}

/** Opens a store over a binding. */
export function openSqlite(
  { directory, durability }: OpenSettings,
  connect: (path: string) => Connection,
): Store {
  const db = connect(join(directory, "entries.db"));
  const synchronous = durability === "sync" ? "FULL" : "OFF";
  for (
    const pragma of [
      "locking_mode = EXCLUSIVE",
      "journal_mode = WAL",
      `synchronous = ${synchronous}`,
      `cache_size = -${CACHE_BYTES / 1024}`,
      `mmap_size = ${MAPPED_BYTES}`,
      "temp_store = MEMORY",
    ]
  ) db.execute(`PRAGMA ${pragma}`);
  db.execute(
    "CREATE TABLE IF NOT EXISTS entries " +
      "(k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
  );
  return new SqliteStore(db);
}
