/**
 * The exclusive lock on a file for a runtime without flock(2).
 *
 * Node has no call for it, but every system gives a way:
 * - Linux: a flock belongs to the open file description, not to the process.
 *   The program flock(1), of util-linux or BusyBox, inherits the description
 *   of our descriptor, locks it and exits; the lock stays with us until we
 *   close the descriptor or die.
 * - macOS and the BSDs: open(2) takes the lock with O_EXLOCK.
 * - Windows: libuv opens the file without sharing it.
 *
 * All of these are seen by Deno and Bun, and see theirs.
 *
 * Where flock(1) cannot be run, an abstract Unix socket named after the file
 * stands in. The kernel owns it too, so it never outlives its process. Node
 * processes see it whichever way they lock; Deno and Bun cannot see it, though
 * their locks are seen from here. It spans one network namespace.
 *
 * Invariant: a doubt is an error. Nothing here takes "cannot tell" for "free".
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer, type Server } from "node:net";
import process from "node:process";
import { errorCode, ioError } from "./errno.ts";
import { lockedError } from "./lock_file.ts";
import {
  DescriptorLock,
  lockHolder,
  openLockFile,
  tellHolder,
} from "./node_lock_file.ts";
import type { Lock } from "./runtime.ts";

/** open(2) of macOS and the BSDs: take an exclusive flock, do not wait. */
const BSD_O_EXLOCK = 0x20;
const BSD_O_NONBLOCK = 0x4;
/** libuv on Windows: open with a share mode of nothing. */
const UV_FS_O_EXLOCK = 0x10000000;

/** What flock(1) exits with when the lock is held elsewhere. */
const FLOCK_STATUS_HELD = 1;
/** Which descriptor of the child is the lock file. */
const FLOCK_CHILD_DESCRIPTOR = 3;
/** flock -n does not wait; this is for a system that has come to a halt. */
const FLOCK_TIMEOUT_MS = 30_000;

type FlockOutcome = "taken" | "held" | "unavailable";

/** Takes the exclusive lock on a file with the means of the platform. */
export async function nodeLock(path: string): Promise<Lock> {
  switch (process.platform) {
    case "darwin":
    case "freebsd":
    case "netbsd":
    case "openbsd":
      return lockByOpening(path, BSD_O_EXLOCK | BSD_O_NONBLOCK);
    case "win32":
      return lockByOpening(path, UV_FS_O_EXLOCK);
    default:
      return await lockByDescription(path);
  }
}

/** Takes a lock that comes with opening the file. */
function lockByOpening(path: string, flags: number): Lock {
  let descriptor: number;
  try {
    descriptor = openLockFile(path, flags);
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === "EAGAIN" || code === "EWOULDBLOCK" || code === "EBUSY") {
      throw lockedError(path, lockHolder(path), thrown);
    }
    throw ioError("lock", path, thrown);
  }
  tellHolder(descriptor);
  return new DescriptorLock(path, descriptor);
}

/** Takes the lock on an open file description of ours. */
async function lockByDescription(path: string): Promise<Lock> {
  let descriptor: number | undefined;
  let socket: Server | undefined;
  try {
    descriptor = openLockFile(path);
    const outcome = runFlock(descriptor);
    const name = socketName(descriptor);
    if (outcome === "held") throw lockedError(path, lockHolder(path));
    if (outcome === "unavailable") {
      socket = await bindSocket(name);
      if (socket === undefined || isFlockedElsewhere(descriptor)) {
        throw lockedError(path, lockHolder(path));
      }
    } else if (isSocketBound(name)) {
      throw lockedError(path, lockHolder(path));
    }
  } catch (thrown) {
    socket?.close();
    if (descriptor !== undefined) fs.closeSync(descriptor);
    throw ioError("lock", path, thrown);
  }
  tellHolder(descriptor);
  const held = socket;
  return new DescriptorLock(path, descriptor, () => held?.close());
}

/** Has flock(1) lock the description of `descriptor`. */
function runFlock(descriptor: number): FlockOutcome {
  let result;
  try {
    result = spawnSync("flock", ["-n", "-x", String(FLOCK_CHILD_DESCRIPTOR)], {
      stdio: ["ignore", "ignore", "pipe", descriptor],
      // Nothing but what finds the program: no preloaded library shall write
      // to its error output, which tells a held lock from a failure.
      env: { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C" },
      encoding: "utf8",
      timeout: FLOCK_TIMEOUT_MS,
    });
  } catch (thrown) {
    if (cannotRun(thrown)) return "unavailable"; // node --permission
    throw thrown;
  }
  if (result.error !== undefined) {
    if (cannotRun(result.error)) return "unavailable";
    throw result.error;
  }
  if (result.status === 0) return "taken";
  const words = result.stderr.trim();
  // BusyBox exits with 1 for every failure, but a held lock it passes in silence.
  if (result.status === FLOCK_STATUS_HELD && words === "") return "held";
  throw new Error(
    `flock(1) failed with ${
      result.signal ?? `status ${result.status}`
    }: ${words}`,
  );
}

/** Whether a program is not there or may not be run, ever. */
function cannotRun(thrown: unknown): boolean {
  const code = errorCode(thrown);
  return code === "ENOENT" || code === "EACCES" || code === "EPERM" ||
    code === "ERR_ACCESS_DENIED";
}

/** The name, without its leading NUL, of the socket that stands for a file. */
function socketName(descriptor: number): string {
  const { dev, ino } = fs.fstatSync(descriptor, { bigint: true });
  return `varve-lock-${dev}-${ino}`;
}

/** Binds the socket; `undefined` if another process or handle has it. */
function bindSocket(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy());
    server.once("error", (error) => {
      if (errorCode(error) === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    // Exclusive: a cluster would otherwise share one socket among its workers.
    server.listen({ path: `\0${name}`, exclusive: true }, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** Whether a process without flock(1) holds the lock by its socket. */
function isSocketBound(name: string): boolean {
  let sockets: string;
  try {
    sockets = fs.readFileSync("/proc/net/unix", "utf8");
  } catch (thrown) {
    // No /proc, or not Linux: then nobody has such a socket to see either.
    if (errorCode(thrown) === "ENOENT" || cannotRun(thrown)) return false;
    throw thrown;
  }
  return sockets.split("\n").some((line) => line.endsWith(` @${name}`));
}

/**
 * Whether another description of the file carries a flock, by /proc/locks.
 *
 * Its lines name the device and inode as the kernel has them, which is not
 * always what stat(2) says; /proc/self has them in the kernel's terms.
 */
function isFlockedElsewhere(descriptor: number): boolean {
  const file = fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8");
  const mount = /^mnt_id:\s*(\d+)$/m.exec(file)?.[1];
  const inode = /^ino:\s*(\d+)$/m.exec(file)?.[1] ??
    String(fs.fstatSync(descriptor, { bigint: true }).ino);
  const device = fs.readFileSync("/proc/self/mountinfo", "utf8").split("\n")
    .map((line) => line.split(" "))
    .find(([id]) => id === mount)?.[2];
  const [major, minor] = (device ?? "").split(":").map(Number);
  if (major === undefined || minor === undefined) {
    throw new Error("/proc does not tell the device of the lock file");
  }
  const hex = (number: number) => number.toString(16).padStart(2, "0");
  const place = `${hex(major)}:${hex(minor)}:${inode}`;
  // "1: FLOCK  ADVISORY  WRITE 4711 fd:00:1234 0 EOF"
  return fs.readFileSync("/proc/locks", "utf8").split("\n").some((line) => {
    const words = line.split(/\s+/);
    return words.includes("FLOCK") && words.includes(place);
  });
}
