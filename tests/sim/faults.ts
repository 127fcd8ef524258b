/**
 * Failures of the disk: which operation they strike, with what, and what the
 * engine must not do afterwards.
 *
 * @module
 */
import { kindOf } from "../engine/support/files.ts";
import type { DiskOperation, Fault } from "./disk.ts";
import { PATH } from "./oracles.ts";
import type { SeededDice } from "./random.ts";

/** Decides about one operation. */
export interface Strike {
  /** Whether it is this one's turn. */
  readonly strikes: (operation: DiskOperation) => boolean;
  /** What happens to it. */
  readonly fault: (operation: DiskOperation) => Fault | undefined;
  /** Whether every later operation is struck that the first one's fault fits. */
  readonly forEver: boolean;
}

/** What was going on when a failure happened. */
export interface Occasion {
  /** Whether the database was being closed. */
  readonly isAtClosing: boolean;
  /** Whether a timer that comes round did it: of those, a reader thread's look at the disk. */
  readonly isInTimer: boolean;
}

/** A failure that happened. */
export interface Hit extends Occasion {
  readonly operation: DiskOperation;
  readonly fault: Fault;
}

/** The kind of file that an operation is about. */
export function fileKindOf({ path }: DiskOperation): ReturnType<typeof kindOf> {
  return kindOf(path.slice(path.lastIndexOf("/") + 1));
}

/** Whether an operation writes or syncs a log or the manifest: if it fails, the handle is read-only. */
export function isCommitted({ kind }: DiskOperation): boolean {
  return kind === "write" || kind === "sync";
}

/** Every failure that makes sense for an operation. */
export function faultsFor(operation: DiskOperation): Fault[] {
  const { kind, path, length = 0 } = operation;
  switch (kind) {
    case "read":
      return [
        { kind: "error", code: "EIO" },
        { kind: "flipOnRead", bit: operation.index * 7919 },
        { kind: "shortRead", bytes: Math.floor(length / 2) },
      ];
    case "write":
      return [
        { kind: "error", code: "ENOSPC" },
        { kind: "shortWrite", bytes: Math.floor(length / 2), code: "EIO" },
      ];
    case "sync":
    case "syncDirectory":
      // What a lost sync takes from above the database nobody can put back:
      // the directory is there, and counts as clean.
      if (kind === "syncDirectory" && path !== PATH) {
        return [{ kind: "error", code: "EIO" }];
      }
      return [
        { kind: "error", code: "EIO" },
        { kind: "lostSync", code: "EIO" },
      ];
    case "open":
      return [{ kind: "error", code: "EMFILE" }];
    case "create":
      return [
        { kind: "error", code: "EMFILE" },
        { kind: "error", code: "ENOSPC" },
      ];
    case "lock":
      return [{ kind: "error", code: "EMFILE" }];
    case "rename":
    case "remove":
    case "makeDirectory":
    case "list":
    case "stat":
      return [{ kind: "error", code: "EIO" }];
  }
}

/** Kinds of operations that are worth failing on their own: what is promised hangs on them. */
const KINDS_THAT_COUNT = ["sync", "sync", "write", "syncDirectory"] as const;

/** A failure of the operation behind so many others, now and then of one kind only. */
export function strikeAfter(
  dice: SeededDice,
  operations: number,
  forEver: boolean,
): Strike {
  const only = dice.chance(0.5) ? dice.pick(KINDS_THAT_COUNT) : undefined;
  let left = only === undefined ? operations : Math.floor(operations / 8);
  return {
    strikes: ({ kind }) => (only === undefined || kind === only) && left-- <= 0,
    fault: (operation) => dice.pick(faultsFor(operation)),
    forEver,
  };
}

/** The failures of one database, past and to come. */
export class Faults {
  /** What has happened since the last {@linkcode Faults.forgive}. */
  hits: Hit[] = [];
  #armed: Strike[] = [];
  #lasting: Fault[] = [];

  /** Whether anything may still fail. */
  get isArmed(): boolean {
    return this.#armed.length > 0 || this.#lasting.length > 0;
  }

  /** Puts a failure in. */
  arm(strike: Strike): void {
    this.#armed.push(strike);
  }

  /** The disk works from now on. */
  heal(): void {
    this.#armed = [];
    this.#lasting = [];
  }

  /** What happened is dealt with. */
  forgive(): void {
    this.hits = [];
  }

  /** What happens to an operation. */
  strike(operation: DiskOperation, occasion: Occasion): Fault | undefined {
    const fault = this.#decide(operation);
    if (fault !== undefined) this.hits.push({ operation, fault, ...occasion });
    return fault;
  }

  #decide(operation: DiskOperation): Fault | undefined {
    for (const fault of this.#lasting) {
      if (fits(fault, operation)) return fault;
    }
    for (const [i, armed] of this.#armed.entries()) {
      if (!armed.strikes(operation)) continue;
      const fault = armed.fault(operation);
      if (fault === undefined) continue;
      this.#armed.splice(i, 1);
      if (armed.forEver) this.#lasting.push(fault);
      return fault;
    }
    return undefined;
  }
}

/** Whether a fault that lasts strikes an operation: a full disk takes no write, one that is broken does nothing. */
function fits(fault: Fault, operation: DiskOperation): boolean {
  const { kind } = operation;
  switch (fault.kind) {
    case "error":
      if (fault.code === "ENOSPC") return kind === "write" || kind === "create";
      if (fault.code === "EMFILE") return kind === "open" || kind === "create";
      return kind === "write" || kind === "sync" || kind === "syncDirectory" ||
        kind === "rename" || kind === "remove";
    case "shortWrite":
      return kind === "write" && (operation.length ?? 0) > fault.bytes;
    case "lostSync":
      return kind === "sync" || kind === "syncDirectory";
    case "shortRead":
      return kind === "read" && (operation.length ?? 0) > fault.bytes;
    default:
      return false;
  }
}
