/**
 * Databases made by fixed recipes: for the golden fixtures, and for databases
 * that one runtime writes and another reads.
 *
 * A recipe does the same thing each time. On the file system in memory, with
 * a clock that stands still, it writes the same bytes each time.
 *
 * @module
 */
import { openWith } from "../../../lib/open.ts";
import {
  MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import { parseFileName } from "../../../lib/version/files.ts";
import { FILLER } from "../../../lib/wal/format.ts";
import { Batch, type Db, type Durability, type Options } from "../../../mod.ts";
import { type TextRange, toByteRange } from "../../engine/support/key_text.ts";
import { Model } from "../../engine/support/model.ts";
import { toBytes } from "./entries.ts";

/** The version of the formats that recipes write now: the name of their fixtures' directory. */
export const FORMAT = "v2";
/** The same of recipes that compress. */
export const COMPRESSED_FORMAT = "v3";

/** Where a recipe's database lies in memory. */
const DIRECTORY = "/db";
/** What the clock of recipes in memory always says: it is in tables. */
const CLOCK = Date.UTC(2025, 0, 1);

/** Applies each change to a database and to a model of it. */
export class Session {
  readonly db: Db;
  /** What the database must hold when it is opened again. */
  readonly model: Model = new Model();
  /** Whether what is written from now on is going to be lost. */
  isDoomed = false;

  constructor(db: Db) {
    this.db = db;
  }

  #note(change: () => void): void {
    if (!this.isDoomed) change();
  }

  put(key: string, value: string, durability?: Durability): Promise<void> {
    const bytes = toBytes(value);
    this.#note(() => this.model.put(key, bytes));
    return this.db.put(toBytes(key), bytes, { durability });
  }

  delete(key: string, durability?: Durability): Promise<void> {
    this.#note(() => this.model.delete(key));
    return this.db.delete(toBytes(key), { durability });
  }

  deleteRange(start: string, end: string): Promise<void> {
    this.#note(() => this.model.clear({ gte: start, lt: end }));
    return this.db.deleteRange(toBytes(start), toBytes(end));
  }

  clear(range: TextRange): Promise<void> {
    this.#note(() => this.model.clear(range));
    return this.db.clear(toByteRange(range));
  }

  /** One batch: puts of the pairs, deletes of the keys without a value. */
  batch(pairs: [key: string, value?: string][]): Promise<void> {
    const batch = new Batch();
    for (const [key, value] of pairs) {
      if (value === undefined) batch.delete(toBytes(key));
      else batch.put(toBytes(key), toBytes(value));
      this.#note(() => {
        if (value === undefined) this.model.delete(key);
        else this.model.put(key, toBytes(value));
      });
    }
    return this.db.write(batch);
  }
}

/** How a recipe's database is left. */
export type Ending =
  /** `close()`. */
  | "closed"
  /** The process dies: nothing is closed, what was written is there. */
  | "killed"
  /** The same, and the end of the newest log did not reach the disk. */
  | "torn";

/** One situation. */
export interface Recipe {
  readonly name: string;
  readonly options: Options;
  readonly ending: Ending;
  readonly run: (session: Session) => Promise<void>;
}

/** The directory of a recipe's fixture. */
export function formatOf({ options }: Recipe): string {
  return isCompressed(options) ? COMPRESSED_FORMAT : FORMAT;
}

/** Whether a recipe's bytes are up to the runtime: each has a compressor of its own. */
export function isCompressed({ compression }: Options): boolean {
  return compression === "zstd";
}

const QUIET = { background: "off" } as const;
const SMALL: Options = { blockSize: 256, compaction: QUIET };

function name(i: number): string {
  return `key/${String(i).padStart(3, "0")}`;
}

/** Every kind of write, keys that are hard, and a delete without an end. */
async function everyKindOfWrite(session: Session): Promise<void> {
  await session.put("", "the empty key");
  await session.put("empty value", "");
  await session.put("\0", "zero");
  await session.put("\0\0", "two zeros");
  await session.put("\xff\xff", "the last");
  await session.put("overwritten", "old");
  await session.put("overwritten", "new");
  await session.put("deleted", "gone");
  await session.delete("deleted");
  await session.delete("never there");
  await session.batch([["batch/1", "one"], ["batch/2", "two"], ["batch/1"]]);
  for (let i = 0; i < 12; i++) await session.put(name(i), `value ${i}`);
  await session.deleteRange(name(3), name(6));
  await session.put(name(4), "back again");
  await session.put("zz/1", "gone");
  await session.put("zz/2", "gone");
  await session.clear({ gte: "zz/" });
  await session.put("\xff\xfe", "behind the clear");
}

/** Tables with range tombstones over older tables, and with versions that a snapshot kept. */
async function tablesOfAllKinds(session: Session): Promise<void> {
  const { db } = session;
  for (let i = 0; i < 40; i++) await session.put(name(i), `first ${i}`);
  await db.flush();
  {
    using _snapshot = db.snapshot();
    for (let i = 0; i < 40; i += 2) await session.put(name(i), `second ${i}`);
    using _second = db.snapshot();
    for (let i = 0; i < 40; i += 4) await session.put(name(i), `third ${i}`);
    await session.delete(name(1));
    await session.deleteRange(name(10), name(15));
    await db.flush();
  }
  await session.deleteRange(name(12), name(20));
  await session.clear({ gte: name(38) });
  await session.put(name(13), "alive");
  await db.flush();
  await session.put("in the log", "only");
  await session.delete(name(2));
}

/** Blocks that are compressed, beside some that cannot be and a value of many blocks' length. */
async function blocksOfAllKinds(session: Session): Promise<void> {
  const { db } = session;
  for (let i = 0; i < 60; i++) {
    await session.put(name(i), `value ${i} `.repeat(8));
  }
  for (let i = 0; i < 20; i++) {
    let noise = "";
    for (let word = i + 1; noise.length < 60;) {
      word = Math.imul(word, 0x9e3779b1) ^ (word >>> 15);
      noise += String.fromCharCode(word & 0xff, (word >>> 8) & 0xff);
    }
    await session.put(`noise/${name(i)}`, noise);
  }
  await session.put("long", "nineteen hundred ".repeat(120));
  await db.flush();
  await session.deleteRange(name(10), name(20));
  for (let i = 0; i < 60; i += 7) {
    await session.put(name(i), `new ${i} `.repeat(9));
  }
  await db.flush();
  await session.put("in the log", "only");
}

/** All recipes. */
export const RECIPES: readonly Recipe[] = [
  {
    name: "empty",
    options: {},
    ending: "closed",
    run: async () => {},
  },
  {
    name: "closed-log",
    options: { compaction: QUIET },
    ending: "closed",
    run: everyKindOfWrite,
  },
  {
    name: "closed-tables",
    options: SMALL,
    ending: "closed",
    run: tablesOfAllKinds,
  },
  {
    name: "compacted",
    options: { ...SMALL, bloomBitsPerKey: 0 },
    ending: "closed",
    run: async (session) => {
      await everyKindOfWrite(session);
      await session.db.flush();
      await tablesOfAllKinds(session);
      await session.db.majorCompact();
    },
  },
  {
    name: "compacted-under-snapshot",
    options: { ...SMALL, bloomBitsPerKey: 32 },
    ending: "closed",
    run: async (session) => {
      const { db } = session;
      await everyKindOfWrite(session);
      using _snapshot = db.snapshot();
      await session.clear({ gte: name(2), lt: name(9) });
      await session.put(name(5), "above the clear");
      await db.flush();
      await db.majorCompact();
    },
  },
  {
    name: "compressed",
    options: { ...SMALL, blockSize: 1024, compression: "zstd" },
    ending: "closed",
    run: blocksOfAllKinds,
  },
  {
    name: "killed-log",
    options: { compaction: QUIET },
    ending: "killed",
    run: async (session) => {
      await everyKindOfWrite(session);
      await session.put("buffered", "by the system only", "buffered");
      await session.delete("overwritten", "buffered");
    },
  },
  {
    name: "killed-tables",
    options: SMALL,
    ending: "killed",
    run: tablesOfAllKinds,
  },
  {
    name: "killed-many-logs",
    options: {
      // Where the logs end depends on what an entry takes in a memtable.
      writeBufferSize: 556,
      maxFrozenMemtables: 16,
      compaction: QUIET,
    },
    ending: "killed",
    run: async (session) => {
      const writes: Promise<void>[] = [];
      for (let i = 0; i < 24; i++) {
        writes.push(session.put(name(i), `value ${i} ${"x".repeat(40)}`));
        if (i % 8 === 7) writes.push(session.deleteRange(name(i - 3), name(i)));
      }
      await Promise.all(writes);
    },
  },
  {
    name: "torn-log",
    options: { compaction: QUIET },
    ending: "torn",
    run: async (session) => {
      await everyKindOfWrite(session);
      session.isDoomed = true;
      await session.put("lost", "with the tail", "buffered");
    },
  },
  {
    name: "torn-after-recovery",
    options: { compaction: QUIET },
    ending: "torn",
    run: async (session) => {
      await session.put("a", "1");
      await session.db.flush();
      await session.put("b", "2");
      session.isDoomed = true;
      await session.batch([["a"], ["b"], ["lost", "as a whole"]]);
    },
  },
];

/** A row: key and value as characters below 256. */
export type TextRow = [key: string, value: string];

/** What a recipe left. */
export interface Made {
  /** Its files by name, but for the lock. */
  readonly files: Map<string, Uint8Array>;
  /** What an opening must find. */
  readonly model: Model;
}

/** How many bytes of a torn log did not reach the disk. */
const TORN_BYTES = 5;

function newestLog(names: Iterable<string>): string {
  const logs = [...names].filter((file) => parseFileName(file)?.kind === "log");
  const log = logs.sort().at(-1);
  if (log === undefined) throw new Error("there is no log");
  return log;
}

/** Follows a recipe in memory; its bytes are the same each time. */
export async function makeInMemory(recipe: Recipe): Promise<Made> {
  const files = new MemoryFileSystem();
  const runtime = memoryRuntime(files, { clock: () => CLOCK });
  const db = await openWith(runtime, DIRECTORY, recipe.options);
  const session = new Session(db);
  await recipe.run(session);
  if (recipe.ending === "closed") await db.close();
  const left = new Map<string, Uint8Array>();
  for (const file of files.list(DIRECTORY).sort()) {
    if (file === "LOCK") continue;
    left.set(file, files.readFile(`${DIRECTORY}/${file}`));
  }
  if (recipe.ending !== "closed") await db.close();
  if (recipe.ending === "torn") {
    const log = newestLog(left.keys());
    const bytes = left.get(log) ?? new Uint8Array(0);
    const end = bytes.findLastIndex((byte) => byte !== FILLER) + 1;
    const hasFiller = end < bytes.length;
    bytes.fill(FILLER, end - TORN_BYTES);
    // Where a group lay over filler, there is filler again.
    left.set(log, hasFiller ? bytes : bytes.slice(0, -TORN_BYTES));
  }
  return { files: left, model: session.model };
}
