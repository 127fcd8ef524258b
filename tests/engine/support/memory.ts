/**
 * Databases on the file system in memory: opening them, failing their
 * operations, and telling their files apart.
 *
 * @module
 */
import {
  MemoryFileSystem,
  type MemoryOperation,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import type { FileSystem } from "../../../lib/runtime/runtime.ts";
import { FILLER } from "../../../lib/wal/format.ts";
import type { Db, Options } from "../../../mod.ts";
import { openWith } from "../../open.ts";
import { type FileKind, kindOf } from "./files.ts";

/** Where the database lies in memory. */
export const PATH = "/data/db";

/**
 * The block cache, unless a test says otherwise. The engine's own is 64 MiB,
 * which are made of zeros at each opening; sweeps open thousands of databases
 * of a few KiB.
 */
const CACHE_BYTES = 1024 * 1024;

/** Opens the database of a file system. */
export function openIn(
  files: FileSystem,
  options: Options = {},
): Promise<Db> {
  return openAsGiven(files, { blockCacheSize: CACHE_BYTES, ...options });
}

/** The same, with the engine's own defaults for all that is left out. */
export function openAsGiven(
  files: FileSystem,
  options?: Options,
): Promise<Db> {
  return openWith({ ...memoryRuntime(), files }, PATH, options);
}

/** Runs `body` with a database in memory; closes it, whatever state it is in. */
export async function withMemoryDb(
  body: (db: Db, files: MemoryFileSystem) => Promise<void>,
  options: Options = {},
  files: MemoryFileSystem = new MemoryFileSystem(),
): Promise<void> {
  const db = await openIn(files, options);
  try {
    await body(db, files);
  } finally {
    await closeQuietly(db);
  }
}

/** Closes a handle whose close may fail, because the test broke its disk. */
export async function closeQuietly(db: Db): Promise<void> {
  await db.close().catch(() => {});
}

/** The names of the database's files, sorted. */
export function namesIn(files: MemoryFileSystem): string[] {
  return files.stat(PATH) === undefined ? [] : files.list(PATH).sort();
}

/** The names of the files of one kind, sorted. */
export function namesOf(files: MemoryFileSystem, kind: FileKind): string[] {
  return namesIn(files).filter((name) => kindOf(name) === kind);
}

/** A full disk, or one that lies no more: what a hook throws. */
export function diskError(code = "EIO"): Error {
  return Object.assign(new Error(`made by the test: ${code}`), { code });
}

/** Which operations a fault applies to. */
export interface FaultTarget {
  /** The operation. */
  readonly operation: MemoryOperation;
  /** The kind of its file; any if absent. */
  readonly kind?: FileKind;
}

/** A fault that can be put in and taken out. */
export interface Fault {
  /** How often it struck. */
  readonly count: number;
  /** Takes it out. */
  stop(): void;
}

/** Makes operations fail: the first `times` that match, or all of them. */
export function failOn(
  files: MemoryFileSystem,
  target: FaultTarget,
  times = Infinity,
  code = "EIO",
): Fault {
  const before = files.onOperation;
  let count = 0;
  files.onOperation = (operation, path) => {
    before?.(operation, path);
    if (operation !== target.operation) return;
    if (target.kind !== undefined && kindOfPath(path) !== target.kind) return;
    if (count >= times) return;
    count++;
    throw diskError(code);
  };
  return {
    get count() {
      return count;
    },
    stop() {
      files.onOperation = before;
    },
  };
}

/** The kind of file that a path, or a rename's two paths, is about. */
export function kindOfPath(path: string): FileKind {
  return kindOf(path.slice(path.lastIndexOf("/") + 1));
}

/** Changes the bytes of one file as if the disk had. */
export function damage(
  files: MemoryFileSystem,
  name: string,
  change: (bytes: Uint8Array) => Uint8Array | void,
): void {
  const path = `${PATH}/${name}`;
  const bytes = files.readFile(path);
  files.writeFile(path, change(bytes) ?? bytes);
}

/** How long the groups of a log are: what lies behind them is filler. */
export function lengthOfGroups(files: MemoryFileSystem, log: string): number {
  const bytes = files.readFile(`${PATH}/${log}`);
  return bytes.findLastIndex((byte) => byte !== FILLER) + 1;
}

/** Removes a file as if the disk had lost it. */
export function lose(files: MemoryFileSystem, name: string): void {
  files.remove(`${PATH}/${name}`);
  files.syncDirectory(PATH);
}
