/**
 * Gathers the writes of one turn, so that they are committed together: what a
 * program does that has many writers and a store that does not group by itself.
 *
 * @module
 */
import type { Answer } from "./store.ts";

/** The part of a store that gathers what it accepts until `acknowledged()`. */
export abstract class GroupCommit {
  #group: Promise<void> | undefined;

  abstract put(key: Uint8Array, value: Uint8Array): void;
  abstract acknowledged(): Answer<void>;

  /** Settles once the write is committed, with all others of the same turn of the microtasks. */
  putAcknowledged(key: Uint8Array, value: Uint8Array): Promise<void> {
    this.put(key, value);
    this.#group ??= Promise.resolve().then(() => {
      this.#group = undefined;
      return this.acknowledged();
    });
    return this.#group;
  }
}
