/**
 * The simulated disk: a file system in memory with the semantics of a real one
 * at power loss, on which any operation can be made to fail.
 *
 * A disk outlives the machine's boots. It can be forked at any moment, so that
 * a run goes on while its crash states are tried.
 *
 * - `disk_content.ts`: bytes, in pages that copies share
 * - `disk_fates.ts`: what a power loss leaves of what was not synced
 * - `disk_file.ts`: a file, with its unsynced writes
 * - `disk_tree.ts`: the directories, with their unsynced changes
 * - `disk_operations.ts`: what is done to a disk, and what can go wrong with it
 * - `disk_boot.ts`: the file system that a process sees
 *
 * Invariants:
 * - The same calls and dice give the same bytes on every runtime.
 * - Nothing that happens to a fork shows in the disk that it was taken from,
 *   nor the other way round.
 *
 * @module
 */
import type { FileSystem } from "../../lib/runtime/runtime.ts";
import { Boot, flip, type Machine } from "./disk_boot.ts";
import { checksumText } from "./disk_content.ts";
import type { LossMode } from "./disk_fates.ts";
import type { DiskHooks } from "./disk_operations.ts";
import { Tree } from "./disk_tree.ts";
import type { Dice } from "./random.ts";

export {
  type DiskHooks,
  type DiskOperation,
  type Fault,
  type OperationKind,
  PowerLoss,
} from "./disk_operations.ts";
export type { LossMode } from "./disk_fates.ts";

/** The file system of one boot, and what it has open. */
export interface BootedFiles extends FileSystem {
  removeAside(path: string): Promise<void>;
  /** The paths of files that were not closed, sorted. */
  readonly openHandles: readonly string[];
  /** The paths of locks that are held, sorted. */
  readonly locks: readonly string[];
  /** Whether the power or the process is gone. */
  readonly hasEnded: boolean;
}

/** A file, as {@linkcode Disk.list} tells of it. */
export interface ListedFile {
  readonly path: string;
  readonly length: number;
}

/** See the head of this file. */
export class Disk {
  readonly #hooks: DiskHooks;
  #machine: Machine = { tree: new Tree(), operations: 0 };
  #boot: Boot | undefined;

  /** An empty disk. */
  constructor(hooks: DiskHooks = {}) {
    this.#hooks = hooks;
  }

  /** Operations so far, those of earlier boots included. */
  get operations(): number {
    return this.#machine.operations;
  }

  /** Whether every power loss would leave all as processes see it. */
  get isClean(): boolean {
    return this.#machine.tree.isClean;
  }

  // --- What happens to the machine ---

  /**
   * The file system as one boot of the machine sees it. What earlier boots
   * opened is dead: it throws {@linkcode PowerLoss}.
   *
   * @param hooks In place of those of the disk.
   */
  boot(hooks: DiskHooks = this.#hooks): BootedFiles {
    this.#boot?.end();
    this.#boot = new Boot(this.#machine, hooks);
    return this.#boot;
  }

  /**
   * The processes die, the machine lives on: what was written is there, and as
   * unsynced as before. Handles and locks are gone.
   *
   * @param cache Whether the page cache stays whole, or lets go of clean
   * pages: then what a failed sync has lost is seen no more.
   */
  killProcess(cache: "kept" | "dropped" = "kept"): void {
    this.#boot?.end();
    if (cache === "dropped") this.#machine.tree.dropCleanPages();
  }

  /**
   * The power fails. What was synced stays.
   *
   * @param dice Decide what remains of the rest.
   * @param mode Spares them the choice.
   */
  powerLoss(dice: Dice, mode: LossMode = "any"): void {
    this.#boot?.end();
    this.#machine.tree.losePower(dice, mode);
  }

  /** An equal disk, without hooks, handles and locks. */
  fork(): Disk {
    const fork = new Disk();
    const { tree, operations } = this.#machine;
    fork.#machine = { tree: tree.fork(), operations };
    return fork;
  }

  // --- What is done by hand, unseen by hooks ---

  /** Flips a bit of a file, counted from the lowest of its first byte. */
  flipBit(path: string, bit: number): void {
    const node = this.#machine.tree.fileAt(path);
    const position = Math.floor(bit / 8);
    if (position >= node.length) {
      throw new RangeError(`${path} has no bit ${bit}`);
    }
    const bytes = new Uint8Array(1);
    node.read(bytes, position);
    flip(bytes, bit % 8);
    node.damage(bytes, position);
  }

  /** A copy of a file's bytes. */
  readFile(path: string): Uint8Array {
    return this.#machine.tree.fileAt(path).bytes();
  }

  /** Makes a file, or replaces its bytes; durable at once, entry included. */
  writeFile(path: string, bytes: Uint8Array): void {
    this.#machine.tree.replaceFile(path, bytes);
  }

  // --- For traces ---

  /** The files that processes can reach, sorted by path. */
  list(): ListedFile[] {
    return this.#machine.tree.files().map(({ path, node }) => ({
      path,
      length: node.length,
    }));
  }

  /** A checksum of everything, what is not synced included. */
  hash(): number {
    return checksumText(this.#machine.tree.describe());
  }
}
