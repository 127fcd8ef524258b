/**
 * Small databases with every kind of file, to be damaged, and what each must
 * hold.
 *
 * @module
 */
import {
  MemoryFileSystem,
  type MemoryOperation,
} from "../../../lib/runtime/memory.ts";
import { parseFileName } from "../../../lib/version/files.ts";
import {
  decodeGroupHeader,
  LOG_HEADER_LENGTH,
} from "../../../lib/wal/format.ts";
import type { Db, Options } from "../../../mod.ts";
import {
  closeQuietly,
  diskError,
  kindOfPath,
  namesOf,
  openIn,
  PATH,
} from "../../engine/support/memory.ts";
import { type State, stateOf } from "./ledger.ts";

/** A group of a log, as its bytes say. */
export interface LogGroup {
  readonly offset: number;
  readonly end: number;
  /** How far the log was known to be synced when the group was written. */
  readonly mark: number;
}

/** A database to be damaged. */
export interface Specimen {
  readonly name: string;
  readonly files: MemoryFileSystem;
  /** What it holds. */
  readonly state: State;
  /** Keys that are there, were there, and were never there. */
  readonly keys: readonly string[];
  /** The log that the manifest does not seal, if there is one, with its groups. */
  readonly newestLog?: {
    readonly name: string;
    readonly groups: readonly LogGroup[];
    /** The state if the log ended behind its first 0, 1, 2 ... groups. */
    readonly states: readonly State[];
    /** How far the manifest says that it was synced. */
    readonly syncedLength: number;
  };
  /** Other logs and tables that count. */
  readonly needed: readonly string[];
}

/** Files that are not the database's, but look a little as if they were. */
export const FOREIGN: Readonly<Record<string, string>> = {
  "notes.txt": "a note",
  "000002.vtab.bak": "a copy",
  "1.vlog": "a name that is too short",
};

const OPTIONS: Options = {
  writeBufferSize: 1024,
  maxFrozenMemtables: 16,
  blockSize: 256,
  blockCacheSize: 4096,
  compaction: { background: "off", minThreshold: 2 },
};

const KEYS = 16;
const keyOf = (i: number) => `key ${String(i).padStart(2, "0")}`;
const ALL_KEYS: readonly string[] = [
  ...Array.from({ length: KEYS + 4 }, (_, i) => keyOf(i)),
  ...["a", "b"].map((name) => `log ${name}`),
  ...["a", "b", "c", "d", "e"].map((name) => `new ${name}`),
  "",
  "key",
  "zzz",
];

/** The databases. */
export async function makeSpecimens(): Promise<Specimen[]> {
  const closed = await closedCleanly();
  const dead = await deadProcess();
  return [closed, dead, await deadAfterOpening(dead)];
}

function newDisk(): MemoryFileSystem {
  const files = new MemoryFileSystem();
  files.makeDirectory(PATH);
  const encoder = new TextEncoder();
  for (const [name, text] of Object.entries(FOREIGN)) {
    files.writeFile(`${PATH}/${name}`, encoder.encode(text));
  }
  return files;
}

/** Tables with values, with tombstones of both kinds, and with an endless range. */
async function writeTables(db: Db): Promise<void> {
  for (let i = 0; i < KEYS; i++) {
    await db.put(keyOf(i), `first ${i} `.repeat(3));
  }
  await db.flush();
  for (let i = 0; i < KEYS; i += 5) await db.put(keyOf(i), `second ${i}`);
  await db.delete(keyOf(1));
  await db.delete(keyOf(2));
  await db.deleteRange(keyOf(6), keyOf(9));
  await db.flush();
  await db.put("zzy", "to be cleared");
  await db.clear({ gte: "zz" });
  await db.deleteRange(keyOf(11), keyOf(12));
  await db.flush();
}

async function closedCleanly(): Promise<Specimen> {
  const files = newDisk();
  const db = await openIn(files, OPTIONS);
  await writeTables(db);
  await db.put("log a", "1");
  await db.write([
    { type: "delete", key: keyOf(3) },
    { type: "put", key: "log b", value: "2" },
    { type: "deleteRange", start: keyOf(13), end: keyOf(14) },
  ]);
  const state = stateOf(db, ALL_KEYS);
  await db.close();
  return {
    name: "closed cleanly",
    files,
    state,
    keys: ALL_KEYS,
    needed: [...namesOf(files, "table"), ...namesOf(files, "log")],
  };
}

/** A process that died with memtables that it could not flush, and with unsynced writes. */
async function deadProcess(): Promise<Specimen> {
  const files = newDisk();
  const db = await openIn(files, OPTIONS);
  await writeTables(db);
  await db.minorCompact();
  await db.put(keyOf(4), "in a table of its own");
  await db.flush();
  // Whatever the strategy, some tables and tombstones are left.
  await db.put(keyOf(5), "in another");
  await db.delete(keyOf(10));
  await db.deleteRange(keyOf(14), keyOf(15));
  await db.flush();
  files.onOperation = refuseTables;
  // Two memtables fill, and so two logs are sealed; the write for which there
  // was no room is the first of the newest log.
  let before = "";
  for (let n = 0; namesOf(files, "log").length < 3; n++) {
    before = stateOf(db, ALL_KEYS);
    await db.put("log a", `${n} `.repeat(30));
  }
  const newest = namesOf(files, "log").at(-1) ?? "";
  const states = [before, stateOf(db, ALL_KEYS)];
  const write = async (call: () => Promise<unknown>) => {
    await call();
    states.push(stateOf(db, ALL_KEYS));
  };
  const buffered = { durability: "buffered" } as const;
  await write(() => db.put("new a", "synced"));
  await write(() => Promise.all(["new b", "new c"].map((k) => db.put(k, "2"))));
  await write(() => db.put("new d", "in one group", buffered));
  await write(() => db.deleteRange(keyOf(0), keyOf(1), buffered));
  await write(() => db.put("new e", "at the end", buffered));
  const image = files.afterProcessDeath();
  await closeQuietly(db);
  return {
    name: "dead process",
    files: image,
    state: states.at(-1) ?? "",
    keys: ALL_KEYS,
    newestLog: {
      name: newest,
      groups: groupsOf(image, newest),
      states,
      syncedLength: LOG_HEADER_LENGTH,
    },
    needed: neededOf(image, newest),
  };
}

/** The same, opened again by a process that died before it wrote anything. */
async function deadAfterOpening(before: Specimen): Promise<Specimen> {
  const files = before.files.afterProcessDeath();
  files.onOperation = refuseTables;
  const db = await openIn(files, OPTIONS);
  const image = files.afterProcessDeath();
  await closeQuietly(db);
  const newest = namesOf(image, "log").at(-1) ?? "";
  const states = [before.newestLog?.states[0] ?? "", before.state];
  return {
    ...before,
    name: "dead after opening",
    files: image,
    newestLog: {
      name: newest,
      groups: groupsOf(image, newest),
      states,
      syncedLength: image.readFile(`${PATH}/${newest}`).length,
    },
    needed: neededOf(image, newest),
  };
}

function refuseTables(operation: MemoryOperation, path: string): void {
  if (operation === "create" && kindOfPath(path) === "table") throw diskError();
}

function neededOf(files: MemoryFileSystem, newestLog: string): string[] {
  return [...namesOf(files, "table"), ...namesOf(files, "log")]
    .filter((name) => name !== newestLog);
}

/** The groups of an undamaged log. */
function groupsOf(files: MemoryFileSystem, name: string): LogGroup[] {
  const bytes = files.readFile(`${PATH}/${name}`);
  const number = parseFileName(name)?.number ?? 0;
  const groups: LogGroup[] = [];
  for (let offset = LOG_HEADER_LENGTH; offset < bytes.length;) {
    const group = decodeGroupHeader(bytes, offset, number);
    if (group === undefined) throw new Error(`no group at ${offset}`);
    groups.push({ offset, end: group.end, mark: group.mark });
    offset = group.end;
  }
  return groups;
}
