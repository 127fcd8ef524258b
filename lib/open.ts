/**
 * Opening a database, told top-down: lock, CURRENT, manifest, logs, fresh
 * manifest, orphans.
 *
 * Invariants:
 * - Nothing is written before everything that exists was understood; what
 *   cannot be is `CORRUPTION`, and every file stays as it is.
 * - What recovery trusts is durable, or was written again: see replay.ts.
 * - No old log or manifest is ever appended to.
 * - Files are removed last, after a fresh manifest names all that counts.
 *
 * @module
 */
import { BlockCache } from "./cache/block_cache.ts";
import { OpenFiles } from "./cache/open_files.ts";
import { TableMemory } from "./cache/table_memory.ts";
import { Db } from "./db.ts";
import { corruption, invalid, VarveError } from "./errors.ts";
import {
  type Configuration,
  type Options,
  type ResolvedOptions,
  resolveOptions,
} from "./options.ts";
import { replayLogs } from "./replay.ts";
import { CAN_COMPRESS } from "./runtime/compression.ts";
import { removeQuietly } from "./runtime/remove.ts";
import type { FileSystem, Lock, Runtime } from "./runtime/runtime.ts";
import { selectRuntime } from "./runtime/select.ts";
import { ReadCounters, type TableContext } from "./sstable/table.ts";
import { readCurrent } from "./version/current.ts";
import {
  CURRENT,
  CURRENT_TEMPORARY,
  fileName,
  LOCK,
  type NumberedFile,
  parseFileName,
} from "./version/files.ts";
import { readManifest } from "./version/manifest.ts";
import { TreeState } from "./version/state.ts";
import { VersionSet } from "./version/version_set.ts";
import { LOG_HEADER_LENGTH } from "./wal/format.ts";
import { isMadeAtOpen } from "./wal/reader.ts";
import { asVarveError } from "./write/health.ts";
import { Tree } from "./write/tree.ts";

/** Table files that one database keeps open at once. */
const OPEN_FILES_MAX = 256;
/** Filters, indexes and range tombstones may take this much, or as much as the block cache if that is more. */
const TABLE_MEMORY_BYTES = 256 * 1024 * 1024;

/**
 * Opens the database in a directory, making it if need be.
 *
 * One handle at a time: the directory is locked until `close()`. Opening
 * replays the logs that are not yet in tables; after a clean close there is
 * little to replay.
 *
 * @param path The directory. Files in it that are not Varve's are left alone.
 * Links are followed once, here: it is not to be moved while it is open.
 * @param options See {@linkcode Options}.
 * @returns The handle, to be closed when done; `await using` does so.
 * @throws `INVALID_ARGUMENT`, `INVALID_CONFIG`, `LOCKED`, `NOT_FOUND`, `EXISTS`, `CORRUPTION` or
 * `IO`; see {@linkcode ErrorCode}.
 *
 * @example
 * ```ts
 * import { open } from "@varve/db";
 *
 * await using db = await open("./notes");
 * await db.put("hello", "world");
 * console.log(new TextDecoder().decode(db.get("hello")));
 * ```
 */
export async function open<K = Uint8Array, V = Uint8Array>(
  path: string,
  options?: Options<K, V>,
): Promise<Db<K, V>> {
  return await openWith(await selectRuntime(), path, options);
}

/** {@linkcode open} on a given runtime: for tests and simulations. */
export async function openWith<K = Uint8Array, V = Uint8Array>(
  runtime: Runtime,
  path: string,
  options?: Options<K, V>,
): Promise<Db<K, V>> {
  if (typeof path !== "string" || path === "") {
    throw invalid("the path of a database is a string that is not empty");
  }
  const configuration = resolveOptions(options);
  checkRuntime(configuration.options);
  const named = path.length > 1 ? path.replace(/\/+$/, "") || "/" : path;
  const { files } = runtime;
  prepareDirectory(files, named, configuration.options);
  // What the path leads to may change as long as the database is open.
  const directory = files.realPath?.(named) ?? named;
  const lock = await files.lock(`${directory}/${LOCK}`);
  try {
    return openLocked(runtime, directory, configuration, lock);
  } catch (error) {
    lock.release();
    throw asVarveError(error);
  }
}

/** Throws unless the runtime can do what the options ask for. */
function checkRuntime({ compression }: ResolvedOptions): void {
  if (compression === "none" || CAN_COMPRESS) return;
  throw new VarveError(
    "INVALID_CONFIG",
    `option compression is "${compression}"; accepted: "none", for this runtime has no Zstandard`,
  );
}

/**
 * Refuses what can be refused without a lock, which would make a file; then
 * makes the directory. What other handles may be writing right now is looked
 * at only under the lock.
 */
function prepareDirectory(
  files: FileSystem,
  directory: string,
  options: ResolvedOptions,
): void {
  const status = files.stat(directory);
  if (status !== undefined && !status.isDirectory) {
    throw new VarveError("IO", `cannot open ${directory}: it is a file`);
  }
  const names = status === undefined ? [] : files.list(directory);
  checkExistence(directory, names, options);
  // Also one that is there: whoever made it may not have synced its parent.
  // mutant sync-parent-directory: without it for a directory that exists, the whole database may be lost
  if (!names.includes(CURRENT)) files.makeDirectory(directory);
}

/** Whether there is a database or not must be what the options ask for. */
function checkExistence(
  directory: string,
  names: readonly string[],
  options: ResolvedOptions,
): void {
  if (names.includes(CURRENT) && options.errorIfExists) {
    throw new VarveError("EXISTS", `${directory} already holds a database`);
  }
  const isEmpty = names.every((name) =>
    name !== CURRENT && parseFileName(name) === undefined
  );
  if (isEmpty && !options.createIfMissing) {
    throw new VarveError("NOT_FOUND", `there is no database in ${directory}`);
  }
}

/**
 * Without CURRENT, files with data are no new database: they are a damaged
 * one. Files without data may be of a creation that was cut short.
 */
function refuseLeftovers(
  files: FileSystem,
  directory: string,
  names: readonly string[],
): void {
  for (const name of names) {
    const file = parseFileName(name);
    if (file === undefined) continue;
    if (holdsData(files, `${directory}/${name}`, file)) {
      throw corruption(
        `${directory}/${CURRENT}`,
        0,
        `a file that names the manifest, for there is ${name}`,
        "none",
      );
    }
  }
}

function holdsData(
  files: FileSystem,
  path: string,
  { kind, number }: NumberedFile,
): boolean {
  if (kind === "table") return true;
  if (kind === "log") {
    return (files.stat(path)?.size ?? 0) > LOG_HEADER_LENGTH;
  }
  try {
    const { state } = readManifest(files, path, number, 0);
    return state.tables.size > 0 || state.lastSequence > 0;
  } catch (error) {
    // Torn with the creation. Were it an old manifest that is damaged, there
    // would be tables or logs beside it, or nothing left to lose.
    if (error instanceof VarveError && error.code === "CORRUPTION") {
      return false;
    }
    throw error;
  }
}

function openLocked<K, V>(
  runtime: Runtime,
  directory: string,
  configuration: Configuration<K, V>,
  lock: Lock,
): Db<K, V> {
  const { options } = configuration;
  const { files } = runtime;
  const names = files.list(directory);
  checkExistence(directory, names, options);
  if (!names.includes(CURRENT)) {
    refuseLeftovers(files, directory, names);
    if (!options.createIfMissing) {
      throw new VarveError("NOT_FOUND", `there is no database in ${directory}`);
    }
  }
  const found = names.map(parseFileName).filter((f) => f !== undefined);
  const known = readState(files, directory, names);
  const context: TableContext = {
    files,
    cache: new BlockCache(options.blockCacheSize, options.blockSize),
    memory: new TableMemory(
      Math.max(TABLE_MEMORY_BYTES, options.blockCacheSize),
    ),
    openFiles: new OpenFiles(OPEN_FILES_MAX),
    counters: new ReadCounters(),
  };
  // mutant tables-are-there: a table that was cut or is missing is damage
  checkTables(files, directory, known.state);
  // mutant unknown-logs: writes in a log that the manifest does not name show that it was cut
  checkUnknownLogs(files, directory, known.state, found);
  // mutant numbers-of-the-directory: a file that no edit names keeps its number
  for (const { number } of found) raiseFileNumber(known.state, number);
  const versions = new VersionSet(directory, known.state, context);
  const replayed = replayLogs(files, versions, known.state, options);
  try {
    versions.install({
      addLogs: [{
        number: replayed.log.number,
        syncedLength: replayed.log.writtenBytes,
      }],
      removeLogs: replayed.superfluous,
      lastSequence: replayed.lastSequence,
    });
    // mutant orphans-go: otherwise files stay that nobody names
    removeOrphans(files, directory, names, found, known);
    const tree = new Tree({ runtime, options, versions, ...replayed });
    tree.maintenance.scheduleFlush();
    tree.maintenance.scheduleCompaction(); // An earlier life may have left some.
    return new Db(tree, context, configuration, lock);
  } catch (error) {
    replayed.log.close();
    versions.close();
    if (!versions.mayBeInstalled) {
      removeQuietly(files, versions.path("log", replayed.log.number));
    }
    throw error;
  }
}

/** What the manifest says, and whether its end was whole. */
interface KnownState {
  readonly state: TreeState;
  readonly isWhole: boolean;
}

function readState(
  files: FileSystem,
  directory: string,
  names: readonly string[],
): KnownState {
  if (!names.includes(CURRENT)) {
    return { state: new TreeState(), isWhole: true };
  }
  const { manifest, snapshotLength } = readCurrent(files, directory);
  const name = fileName("manifest", manifest);
  const path = `${directory}/${name}`;
  if (!names.includes(name)) {
    throw corruption(path, 0, "the manifest that CURRENT names", "no file");
  }
  const content = readManifest(files, path, manifest, snapshotLength);
  return { state: content.state, isWhole: content.tornBytes === 0 };
}

function checkTables(
  files: FileSystem,
  directory: string,
  state: TreeState,
): void {
  for (const { number, size } of state.metas()) {
    const path = `${directory}/${fileName("table", number)}`;
    const status = files.stat(path);
    if (status?.size !== size) {
      throw corruption(
        path,
        Math.min(status?.size ?? 0, size),
        `a table of ${size} bytes, as the manifest says`,
        status === undefined ? "no file" : `${status.size} bytes`,
      );
    }
  }
}

/**
 * A log that the manifest does not know holds nothing that counts: writes go
 * to it only after the manifest names it, but for what an opening that was
 * cut short wrote again. If it holds anything else, the manifest was cut.
 */
function checkUnknownLogs(
  files: FileSystem,
  directory: string,
  state: TreeState,
  found: readonly NumberedFile[],
): void {
  const newest = Math.max(0, ...state.logs.keys());
  for (const { kind, number, name } of found) {
    if (kind !== "log" || number <= newest) continue;
    const path = `${directory}/${name}`;
    const size = files.stat(path)?.size ?? 0;
    if (size > LOG_HEADER_LENGTH && !isMadeAtOpen(files, path)) {
      throw corruption(
        path,
        LOG_HEADER_LENGTH,
        "no writes, for the manifest does not name this log",
        `${size - LOG_HEADER_LENGTH} bytes of them`,
      );
    }
  }
}

function raiseFileNumber(state: TreeState, number: number): void {
  state.nextFileNumber = Math.max(state.nextFileNumber, number + 1);
}

/**
 * Removes what no version names. After a manifest whose end was torn nothing
 * is removed this time: if that was damage, the files may be wanted.
 */
function removeOrphans(
  files: FileSystem,
  directory: string,
  names: readonly string[],
  found: readonly NumberedFile[],
  known: KnownState,
): void {
  // mutant orphans-behind-damage-stay: if the end of the manifest is damaged, it may have named them
  if (!known.isWhole) return;
  const { state } = known;
  const orphans = found.filter(({ kind, number }) =>
    kind === "manifest" || kind === "table" && !state.tables.has(number) ||
    kind === "log" && !state.logs.has(number)
  ).map(({ name }) => name);
  if (names.includes(CURRENT_TEMPORARY)) orphans.push(CURRENT_TEMPORARY);
  for (const name of orphans) removeQuietly(files, `${directory}/${name}`);
}
