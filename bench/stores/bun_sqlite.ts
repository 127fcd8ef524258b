/**
 * SQLite as Bun has it built in: `bun:sqlite`.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { type Connection, openSqlite, type Statement } from "./sqlite.ts";
import type { OpenSettings, Store } from "./store.ts";

interface BunStatement {
  run(...parameters: unknown[]): unknown;
  values(...parameters: unknown[]): [Uint8Array, Uint8Array][];
  get(...parameters: unknown[]): { v: Uint8Array } | null;
}

interface BunDatabase {
  run(sql: string): void;
  prepare(sql: string): BunStatement;
  close(): void;
}

interface Module {
  Database: new (path: string) => BunDatabase;
}

/** Not a literal, because only Bun knows the module. */
const MODULE: string = "bun:sqlite";

function wrap(statement: BunStatement): Statement {
  return {
    run: (...parameters) => void statement.run(...parameters),
    first: (key) => statement.get(key)?.v,
    rows: (...parameters) => statement.values(...parameters),
  };
}

/** Opens the store. */
export async function open(settings: OpenSettings): Promise<Store> {
  const { Database }: Module = await import(MODULE);
  mkdirSync(settings.directory, { recursive: true });
  return openSqlite(settings, (path): Connection => {
    const db = new Database(path);
    return {
      execute: (sql) => db.run(sql),
      prepare: (sql) => wrap(db.prepare(sql)),
      close: () => db.close(),
    };
  });
}
