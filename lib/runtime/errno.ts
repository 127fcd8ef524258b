/**
 * Turns what a runtime threw into a `VarveError` with code `IO`.
 *
 * Invariants:
 * - The message names the operation, the path, the errno and what it means.
 * - What was thrown stays reachable as `cause`.
 * - A `VarveError` passes unchanged.
 *
 * @module
 */
import { VarveError } from "../errors.ts";

/** What the errno codes that a database meets mean to a person. */
const WORDS: ReadonlyMap<string, string> = new Map([
  ["EACCES", "permission denied"],
  ["EAGAIN", "resource temporarily unavailable"],
  ["EBADF", "the file is closed"],
  ["EBUSY", "the file is in use"],
  ["EDQUOT", "disk quota exceeded"],
  ["EEXIST", "it exists already"],
  ["EFBIG", "file too large"],
  ["EINVAL", "invalid argument"],
  ["EIO", "the device reported an error"],
  ["EISDIR", "it is a directory"],
  ["ELOOP", "too many symbolic links"],
  ["EMFILE", "too many open files in this process"],
  ["ENAMETOOLONG", "file name too long"],
  ["ENFILE", "too many open files in the system"],
  ["ENOENT", "no such file or directory"],
  ["ENOLCK", "the file system has no locks to give"],
  ["ENOMEM", "out of memory"],
  ["ENOSPC", "no space left on the device"],
  ["ENOTDIR", "a part of the path is not a directory"],
  ["ENOTEMPTY", "directory not empty"],
  ["ENOTSUP", "the file system does not support it"],
  ["EPERM", "operation not permitted"],
  ["EROFS", "read-only file system"],
  ["ESTALE", "the network file system lost the file"],
  ["ETXTBSY", "the file is being executed"],
  ["EXDEV", "the target is on another file system"],
]);

/** The codes of Deno's error classes, for errors that come without `code`. */
const CODES_BY_NAME: ReadonlyMap<string, string> = new Map([
  ["AlreadyExists", "EEXIST"],
  ["BadResource", "EBADF"],
  ["Busy", "EBUSY"],
  ["FilesystemLoop", "ELOOP"],
  ["Interrupted", "EINTR"],
  ["IsADirectory", "EISDIR"],
  ["NotADirectory", "ENOTDIR"],
  ["NotFound", "ENOENT"],
  ["NotSupported", "ENOTSUP"],
  ["PermissionDenied", "EACCES"],
  ["TimedOut", "ETIMEDOUT"],
  ["WouldBlock", "EAGAIN"],
]);

/** The names under which runtimes report that they, not the system, refuse. */
const MISSING_PERMISSION: ReadonlySet<string> = new Set([
  "NotCapable", // Deno
  "ERR_ACCESS_DENIED", // Node with --permission
]);

/** A property of something thrown, if it is a string. */
function text(thrown: unknown, property: string): string | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  const value: unknown = Reflect.get(thrown, property);
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Names the flag that would have allowed what a runtime refused. */
function flagFor(thrown: unknown): string {
  // Deno says which flag in its message, Node which permission in a property.
  const message = text(thrown, "message") ?? "";
  const flag = /--allow-[a-z-]+/.exec(message)?.[0];
  if (flag !== undefined) return flag;
  const permission = text(thrown, "permission") ?? "";
  if (permission.endsWith("Write")) return "--allow-fs-write";
  if (permission.endsWith("Read")) return "--allow-fs-read";
  if (permission === "ChildProcess") return "--allow-child-process";
  return "--allow-read and --allow-write";
}

/**
 * The errno of something that a runtime threw, such as `"ENOENT"`.
 *
 * @param thrown Anything.
 * @returns The errno; the error's name where it has none.
 */
export function errorCode(thrown: unknown): string {
  const name = text(thrown, "name") ?? "Error";
  return text(thrown, "code") ?? CODES_BY_NAME.get(name) ?? name;
}

/** Whether the runtime itself withholds a permission (Deno, `node --permission`). */
export function isMissingPermission(thrown: unknown): boolean {
  return MISSING_PERMISSION.has(errorCode(thrown));
}

/** Whether nothing is at the path that was asked for. */
export function isAbsence(thrown: unknown): boolean {
  const code = errorCode(thrown);
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Whether the runtime or the system refuses the access as such. */
export function isDenial(thrown: unknown): boolean {
  const code = errorCode(thrown);
  return code === "EACCES" || code === "EPERM" || isMissingPermission(thrown);
}

/**
 * Makes the `IO` error for something that a runtime threw.
 *
 * @param operation A verb, such as `"read"`.
 * @param path The file or directory.
 * @param thrown What was thrown; becomes the `cause`.
 * @returns The error to throw; `thrown` itself if it is a `VarveError`.
 */
export function ioError(
  operation: string,
  path: string,
  thrown: unknown,
): VarveError {
  if (thrown instanceof VarveError) return thrown;
  const code = errorCode(thrown);
  const words = isMissingPermission(thrown)
    ? `missing permission, run again with ${flagFor(thrown)}`
    : WORDS.get(code) ?? text(thrown, "message") ?? String(thrown);
  return new VarveError(
    "IO",
    `cannot ${operation} ${path}: ${code} (${words})`,
    {
      cause: thrown,
    },
  );
}

/** The `IO` error for a failure that no runtime threw. */
export function ioFailure(
  operation: string,
  path: string,
  code: string,
): VarveError {
  return new VarveError(
    "IO",
    `cannot ${operation} ${path}: ${code} (${WORDS.get(code) ?? code})`,
  );
}
