/**
 * What the owner of a database gives to its reader threads.
 *
 * @module
 */
import { isCacheMemory } from "../cache/layout.ts";
import { invalid } from "../errors.ts";
import { ARENA_OVERHEAD } from "../memtable/arena.ts";
import { controlBytes } from "./control.ts";

/**
 * What `db.share()` gives: post it to other workers of the process, as often
 * as needed, and pass it to `attach()` there. It is plain data and shared
 * memory; what is in it is none of a program's business.
 */
export interface ShareHandle {
  /** Of what lies in the shared memory. */
  readonly format: 1;
  /** The directory of the database. */
  readonly directory: string;
  /** See control.ts. */
  readonly control: SharedArrayBuffer;
  /** The arenas of memtables. */
  readonly arenas: readonly SharedArrayBuffer[];
  /** How many memtables the control block can name. */
  readonly memtablesMax: number;
  /** The memory of the block cache; `undefined` if it is off. */
  readonly cache: SharedArrayBuffer | undefined;
  /** Bytes of indexes and filters that a reader keeps in memory. */
  readonly tableMemoryBytes: number;
  /** Seconds of silence after which a reader's snapshots are taken back. */
  readonly leaseSeconds: number;
}

/** How a database is shared. */
export interface ShareOptions {
  /**
   * Seconds after which the snapshots and scans of a reader that gives no
   * sign of life are taken back, so that one that died keeps nothing for
   * good. A reader gives signs by itself as long as its event loop runs, and
   * with each read. Default 60; 0.1 to 86400.
   */
  readonly leaseSeconds?: number;
}

function isLease(seconds: unknown): boolean {
  return typeof seconds === "number" && seconds >= 0.1 && seconds <= 86400;
}

/** The seconds of silence that options ask for, checked. */
export function leaseSecondsOf(options: ShareOptions = {}): number {
  if (typeof options !== "object" || options === null) {
    throw invalid(`options of share() are ${String(options)}, not an object`);
  }
  for (const name of Object.keys(options)) {
    if (name === "leaseSeconds") continue;
    throw invalid(`${name} is no option of share(); leaseSeconds is accepted`);
  }
  const { leaseSeconds = 60 } = options;
  if (isLease(leaseSeconds)) return leaseSeconds;
  throw invalid(
    `leaseSeconds is ${String(leaseSeconds)}; 0.1 to 86400 are accepted`,
  );
}

/** Throws `INVALID_ARGUMENT` unless `value` is a handle that `db.share()` gave. */
export function checkHandle(value: unknown): ShareHandle {
  const handle = value as ShareHandle | null | undefined;
  if (typeof handle !== "object" || handle === null) refuseHandle();
  const { control, arenas, memtablesMax, cache } = handle;
  const isHandle = handle.format === 1 &&
    typeof handle.directory === "string" &&
    Array.isArray(arenas) && arenas.every(isArena) &&
    arenas.length === memtablesMax &&
    control instanceof SharedArrayBuffer &&
    control.byteLength === controlBytes(memtablesMax, arenas.length) &&
    (cache === undefined || isCacheMemory(cache)) &&
    handle.tableMemoryBytes > 0 && isLease(handle.leaseSeconds);
  return isHandle ? handle : refuseHandle();
}

function isArena(value: unknown): boolean {
  return value instanceof SharedArrayBuffer && value.byteLength % 4 === 0 &&
    value.byteLength >= ARENA_OVERHEAD;
}

/** Throws `INVALID_ARGUMENT`, as for what is no handle. */
export function refuseHandle(): never {
  throw invalid("attach takes what db.share() gave, posted to this thread");
}
