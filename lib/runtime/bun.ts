/**
 * The Bun runtime: `node:fs`, and the C library for what that lacks.
 *
 * - The lock is flock(2) by `bun:ffi`.
 * - On macOS, where it is not documented that Bun's fsync reaches the disk's
 *   platters, syncs are fcntl(F_FULLFSYNC), which blocks the thread.
 * - On Windows, and where no C library can be loaded, the lock is Node's.
 *
 * @module
 */
import * as fs from "node:fs";
import process from "node:process";
import { COMMON } from "./common.ts";
import { ioError } from "./errno.ts";
import { lockedError } from "./lock_file.ts";
import { NodeFileSystem } from "./node_files.ts";
import { nodeLock } from "./node_lock.ts";
import {
  DescriptorLock,
  lockHolder,
  openLockFile,
  tellHolder,
} from "./node_lock_file.ts";
import type { Lock, Runtime } from "./runtime.ts";

const IS_MACOS: boolean = process.platform === "darwin";

/** flock(2): exclusive, do not wait. The same on Linux, macOS and the BSDs. */
const LOCK_EX_NB = 2 | 4;
/** fcntl(2) of macOS: flush the disk's own cache too. */
const F_FULLFSYNC = 51;
/** errno: the lock is held elsewhere (EWOULDBLOCK). */
const EWOULDBLOCK = process.platform === "linux" ? 11 : 35;
/** The C library's names, the likeliest first. */
const LIBRARY_NAMES: readonly string[] = IS_MACOS
  ? ["libSystem.B.dylib"]
  : process.platform === "linux"
  ? [
    "libc.so.6",
    process.arch === "arm64"
      ? "libc.musl-aarch64.so.1"
      : "libc.musl-x86_64.so.1",
    "libc.so",
  ]
  : process.platform === "freebsd"
  ? ["libc.so.7"]
  : [];

/** The functions of the C library that are used here. */
interface Library {
  /** Returns 0, or -1 and sets errno. */
  flock(descriptor: number, operation: number): number;
  /** Returns -1 and sets errno on failure. */
  fcntl(descriptor: number, command: number): number;
  /** The errno of the last call that failed; 0 where it cannot be told. */
  errno(): number;
}

/** The part of `bun:ffi` that is used here; Deno and Node have no types for it. */
interface BunFfi {
  dlopen(
    name: string,
    symbols: Record<string, { args: string[]; returns: string }>,
  ): { symbols: Record<string, (...values: number[]) => number> };
  read: { i32(pointer: number, offset: number): number };
}

/** Loads the C library; `undefined` where there is none to load. */
function loadLibrary(): Library | undefined {
  if (LIBRARY_NAMES.length === 0) return undefined;
  // Not an import: other runtimes' analysers would look for the module.
  const ffi = process.getBuiltinModule("bun:ffi") as unknown as
    | BunFfi
    | undefined;
  if (ffi === undefined) return undefined;
  const errnoName = process.platform === "linux"
    ? "__errno_location"
    : "__error";
  for (const name of LIBRARY_NAMES) {
    try {
      const { symbols } = ffi.dlopen(name, {
        flock: { args: ["i32", "i32"], returns: "i32" },
        fcntl: { args: ["i32", "i32"], returns: "i32" },
        [errnoName]: { args: [], returns: "ptr" },
      });
      const { flock, fcntl, [errnoName]: errnoPlace } = symbols;
      if (!flock || !fcntl || !errnoPlace) continue;
      return { flock, fcntl, errno: () => ffi.read.i32(errnoPlace(), 0) };
    } catch {
      // The next name; without any the caller has another way.
    }
  }
  return undefined;
}

/** Takes flock(2) on a descriptor of our own. */
function lockByLibrary(path: string, library: Library): Lock {
  let descriptor: number | undefined;
  try {
    descriptor = openLockFile(path);
    if (library.flock(descriptor, LOCK_EX_NB) !== 0) {
      const errno = library.errno();
      if (errno === EWOULDBLOCK) throw lockedError(path, lockHolder(path));
      throw new Error(`flock(2) failed with errno ${errno}`);
    }
  } catch (thrown) {
    if (descriptor !== undefined) fs.closeSync(descriptor);
    throw ioError("lock", path, thrown);
  }
  tellHolder(descriptor);
  return new DescriptorLock(path, descriptor);
}

/** fcntl(F_FULLFSYNC), or fsync(2) on a file system that does not know it. */
function fullSync(descriptor: number, library: Library): void {
  if (library.fcntl(descriptor, F_FULLFSYNC) !== -1) return;
  fs.fsyncSync(descriptor);
}

/** Makes the runtime. Loads the C library, so once is enough. */
export function bunRuntime(): Runtime {
  const library = loadLibrary();
  const files = new NodeFileSystem(
    library === undefined ? { lock: nodeLock } : {
      lock: (path) => Promise.try(() => lockByLibrary(path, library)),
      fullSync: IS_MACOS
        ? (descriptor) => fullSync(descriptor, library)
        : undefined,
    },
  );
  return {
    ...COMMON,
    name: "bun",
    files,
    slabResults: false,
  };
}
