/**
 * The operations of the simulated disk, and what can be made to go wrong with
 * each.
 *
 * Invariants:
 * - An operation is reported once, before it does anything; one on a closed
 *   handle is none.
 * - A fault strikes the operation that it was given for and no other. One that
 *   makes no sense for its operation is an error of the test.
 *
 * @module
 */
import { ioError } from "../../lib/runtime/errno.ts";
import type { VarveError } from "../../lib/errors.ts";
import { failure } from "./disk_tree.ts";

/** What is done to a disk. Measuring an open file is a `"stat"`. */
export type OperationKind =
  | "open"
  | "create"
  | "read"
  | "write"
  | "sync"
  | "list"
  | "stat"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "lock";

/** One operation, as it is reported. */
export interface DiskOperation {
  /** Which operation of the disk it is, from 0; boots go on counting, forks too. */
  readonly index: number;
  readonly kind: OperationKind;
  /** Whether it changes the disk, or what a power loss would leave of it. */
  readonly mutates: boolean;
  /** The file or directory; of a rename, the source. */
  readonly path: string;
  /** The target of a rename. */
  readonly to?: string;
  /** Of a read or a write. */
  readonly position?: number;
  /** Bytes of a read or a write. */
  readonly length?: number;
  /** Of a write: whether it is nothing but filler of a log; not there if it is not. */
  readonly isFiller?: true;
  /** Of a sync: whether it blocks. */
  readonly now?: boolean;
  /** Of a removal: whether it is done off the thread. */
  readonly aside?: boolean;
}

/** What a fault may be thrown as. */
export type ErrorCode = "EIO" | "ENOSPC" | "EMFILE" | "EACCES";

/** What shall happen instead of success. */
export type Fault =
  /** The operation does nothing and throws. A sync leaves its pages dirty. */
  | { readonly kind: "error"; readonly code: ErrorCode }
  /** So many bytes are written, then the error is thrown. */
  | {
    readonly kind: "shortWrite";
    readonly bytes: number;
    readonly code: ErrorCode;
  }
  /** The read gives so many bytes at most, although the file goes on. */
  | { readonly kind: "shortRead"; readonly bytes: number }
  /** A sync fails; what it was for counts as clean and is lost. */
  | { readonly kind: "lostSync"; readonly code: ErrorCode }
  /** A sync says that it worked and has done nothing. */
  | { readonly kind: "ignoredSync" }
  /** The answer has a bit flipped (modulo its length); the disk has not. */
  | { readonly kind: "flipOnRead"; readonly bit: number }
  /** The bytes overwrite a part of another place on the medium; the file itself only becomes longer, with zeros. */
  | {
    readonly kind: "misdirectedWrite";
    readonly path: string;
    readonly position: number;
  }
  /** The operation throws {@linkcode PowerLoss}, and every later one of the boot. */
  | { readonly kind: "powerLoss" };

/** How a test takes part in the operations of a disk. */
export interface DiskHooks {
  /** Called before each operation. */
  readonly before?: (operation: DiskOperation) => Fault | undefined;
  /** How long an asynchronous sync or removal takes; one microtask by default. */
  readonly syncTime?: (operation: DiskOperation) => Promise<void>;
  /** Whether a removal off the thread overtakes its caller. */
  readonly removesAtOnce?: (operation: DiskOperation) => boolean;
  /** Bytes of a table that the engine hands over in one call; its own choice if absent. */
  readonly tableWriteBytes?: number;
}

/** What every operation of a boot throws that has ended. */
export class PowerLoss extends Error {
  override readonly name: string = "PowerLoss";

  constructor() {
    super("the machine has lost power, or the process was killed");
  }
}

/** The operations for which a fault makes sense; all for those that are absent. */
const MEANT_FOR: Partial<Record<Fault["kind"], readonly OperationKind[]>> = {
  shortWrite: ["write"],
  misdirectedWrite: ["write"],
  shortRead: ["read"],
  flipOnRead: ["read"],
  lostSync: ["sync", "syncDirectory"],
  ignoredSync: ["sync", "syncDirectory"],
};

/** Throws if a fault makes no sense for an operation. */
export function checkFault(fault: Fault, operation: DiskOperation): void {
  const kinds = MEANT_FOR[fault.kind];
  if (kinds === undefined || kinds.includes(operation.kind)) return;
  throw new TypeError(`${fault.kind} is no fault of ${operation.kind}`);
}

/** What the runtimes' file systems call the operations in their errors. */
const VERBS: Partial<Record<OperationKind, string>> = {
  stat: "examine",
  makeDirectory: "make directory",
  syncDirectory: "sync directory",
};

/** The error of an operation that fails with an errno. */
export function faultError(
  operation: Pick<DiskOperation, "kind" | "path" | "to">,
  code: string,
): VarveError {
  return operationError(operation, failure(code));
}

/** The error of an operation in which something was thrown. */
export function operationError(
  { kind, path, to }: Pick<DiskOperation, "kind" | "path" | "to">,
  thrown: unknown,
): VarveError {
  const paths = to === undefined ? path : `${path} to ${to}`;
  return ioError(VERBS[kind] ?? kind, paths, thrown);
}
