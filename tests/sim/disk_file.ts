/**
 * A file of the simulated disk: its bytes as the page cache shows them, those
 * that are synced, and the writes between the two.
 *
 * Invariants:
 * - A sync makes durable what had been written when it was called, when it
 *   ends, and nothing before. Its end is the end of every sync of the file
 *   that was called before it, because it waits for their pages.
 * - A sync that loses its pages leaves them readable, neither dirty nor
 *   durable. A later sync that succeeds saves nothing of them.
 * - What is cached is what is durable with every unsynced write over it.
 * - Writes that are durable leave the history: nothing here grows with the
 *   number of syncs.
 *
 * @module
 */
import { Content } from "./disk_content.ts";
import {
  type LossMode,
  survivingContent,
  type UnsyncedWrite,
} from "./disk_fates.ts";
import type { Dice } from "./random.ts";

/** A write that is not durable. Never changed, so that forks have it in common. */
interface Write extends UnsyncedWrite {
  /** Which write of the file it is, from 1. */
  readonly number: number;
  readonly previous: Write | undefined;
}

/** What becomes of a sync: the pages are saved, or stay dirty, or count as clean and are lost. */
export type SyncOutcome = "saved" | "still dirty" | "lost";

/** A sync under way. */
export interface FileSync {
  /** The last write that it captured. */
  readonly to: number;
  readonly outcome: SyncOutcome;
}

/** See the head of this file. */
export class FileNode {
  /** Which node of the disk it is, in the order of creation. */
  readonly id: number;
  #cached: Content = Content.EMPTY;
  #durable: Content = Content.EMPTY;
  /** The writes that are not durable, the last one first. */
  #last: Write | undefined;
  #written: number = 0;
  /** Writes up to this one that are not durable were lost by a failed sync. */
  #lostTo: number = 0;
  /** Syncs under way, in the order of their calls. */
  #syncs: FileSync[] = [];
  /** The boot whose they are. */
  #boot: object | undefined;

  constructor(id: number) {
    this.id = id;
  }

  /** The length that reads see. */
  get length(): number {
    return this.#cached.length;
  }

  /** Whether every power loss would leave what reads see. */
  get isClean(): boolean {
    return this.#last === undefined && this.#lostTo === 0;
  }

  /** Reads what is cached; see {@linkcode Content.read}. */
  read(into: Uint8Array, position: number): number {
    return this.#cached.read(into, position);
  }

  /** All bytes, as reads see them. */
  bytes(): Uint8Array {
    return this.#cached.slice();
  }

  /** Writes to the page cache. */
  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const number = ++this.#written;
    const copy = new Uint8Array(bytes); // The writer may use its buffer again.
    this.#last = { number, position, bytes: copy, previous: this.#last };
    this.#cached = this.#cached.writable();
    this.#cached.write(copy, position);
  }

  // --- Syncs ---

  /**
   * Begins a sync: it is for what is unsynced now.
   *
   * @param boot Whose it is. The syncs of an earlier boot have no end: what
   * they have not saved stays unsynced.
   */
  beginSync(outcome: SyncOutcome, boot: object): FileSync {
    if (boot !== this.#boot) this.#syncs = [];
    this.#boot = boot;
    const sync = { to: this.#written, outcome };
    this.#syncs.push(sync);
    return sync;
  }

  /** Ends a sync, and those that were called before it. */
  endSync(sync: FileSync): void {
    const last = this.#syncs.indexOf(sync);
    for (const { to, outcome } of this.#syncs.splice(0, last + 1)) {
      if (outcome === "saved") this.#save(to);
      else if (outcome === "lost") this.#lose(to);
    }
  }

  #save(to: number): void {
    const writes = this.#unsynced();
    const later = writes.filter(({ number }) => number > to);
    if (later.length === writes.length) return;
    this.#durable = this.#durable.writable();
    for (const { number, position, bytes } of writes) {
      if (number > to) break;
      if (number > this.#lostTo) this.#durable.write(bytes, position);
    }
    this.#setUnsynced(later);
  }

  #lose(to: number): void {
    const first = this.#unsynced()[0];
    if (first !== undefined && first.number <= to) this.#lostTo = to;
  }

  /** The unsynced writes, the first one first. */
  #unsynced(): Write[] {
    const writes: Write[] = [];
    for (let write = this.#last; write; write = write.previous) {
      writes.push(write);
    }
    return writes.reverse();
  }

  #setUnsynced(writes: readonly Write[]): void {
    this.#last = undefined;
    for (const write of writes) {
      this.#last = { ...write, previous: this.#last };
    }
  }

  // --- What happens to the machine ---

  /** An equal file for another disk. Syncs under way are not in it. */
  fork(): FileNode {
    const fork = new FileNode(this.id);
    fork.#cached = this.#cached.share();
    fork.#durable = this.#durable.share();
    fork.#last = this.#last;
    fork.#written = this.#written;
    fork.#lostTo = this.#lostTo;
    return fork;
  }

  /** The power failed: what remains is durable. */
  losePower(dice: Dice, mode: LossMode): void {
    if (mode === "keep-all") this.#save(this.#written);
    else if (mode === "any") {
      this.#durable = survivingContent(this.#durable, this.#unsynced(), dice);
    }
    this.#cached = this.#durable.share();
    this.#forgetUnsynced();
  }

  /** The cache lets go of clean pages: what a failed sync lost is seen no more. */
  dropCleanPages(): void {
    const dirty = this.#unsynced().filter(({ number }) =>
      number > this.#lostTo
    );
    const cached = this.#durable.copy();
    for (const { bytes, position } of dirty) cached.write(bytes, position);
    this.#cached = cached;
    this.#setUnsynced(dirty);
    this.#lostTo = 0;
  }

  // --- Damage, and what is made by hand ---

  /** Changes bytes on the medium, and so what reads see. The length stays. */
  damage(bytes: Uint8Array, position: number): void {
    const copy = new Uint8Array(bytes);
    const seen = copy.subarray(0, Math.max(0, this.length - position));
    if (this.#last !== undefined) this.write(seen, position);
    else {
      this.#cached = this.#cached.writable();
      this.#cached.write(seen, position);
    }
    const durableLength = Math.max(0, this.#durable.length - position);
    this.#durable = this.#durable.writable();
    this.#durable.write(copy.subarray(0, durableLength), position);
  }

  /** Makes these bytes the durable content. */
  replace(bytes: Uint8Array): void {
    this.#cached = new Content();
    this.#cached.write(new Uint8Array(bytes), 0);
    this.#durable = this.#cached.share();
    this.#forgetUnsynced();
  }

  #forgetUnsynced(): void {
    this.#last = undefined;
    this.#lostTo = 0;
    this.#syncs = [];
  }

  // --- For traces ---

  /** All that can be told of the file; the bytes as checksums. */
  describe(): string {
    const parts = [this.#durable.checksum(), this.#cached.checksum()].map(
      String,
    );
    for (const { number, position, bytes } of this.#unsynced()) {
      const isLost = number <= this.#lostTo;
      parts.push(`${position}+${bytes.length}${isLost ? " lost" : ""}`);
    }
    return parts.join();
  }
}
