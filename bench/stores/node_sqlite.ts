/**
 * SQLite as Node and Deno have it built in: `node:sqlite`.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { type Connection, openSqlite, type Statement } from "./sqlite.ts";
import type { OpenSettings, Store } from "./store.ts";

/** Not among Deno's types. */
interface WithArrays {
  setReturnArrays(enabled: boolean): void;
}

function wrap(statement: StatementSync): Statement {
  // Rows as arrays: objects with names take longer to make.
  (statement as unknown as WithArrays).setReturnArrays(true);
  return {
    run: (...parameters) => void statement.run(...parameters),
    first: (key) => (statement.get(key) as [Uint8Array] | undefined)?.[0],
    rows: (...parameters) =>
      statement.all(...parameters) as unknown as [Uint8Array, Uint8Array][],
  };
}

/** Opens the store. */
export function open(settings: OpenSettings): Promise<Store> {
  mkdirSync(settings.directory, { recursive: true });
  const store = openSqlite(settings, (path): Connection => {
    const db = new DatabaseSync(path);
    return {
      execute: (sql) => db.exec(sql),
      prepare: (sql) => wrap(db.prepare(sql)),
      close: () => db.close(),
    };
  });
  return Promise.resolve(store);
}
