/**
 * Gathers the writes of one turn, so that they are committed together: what a
 * program does that has many writers and a store that does not group by itself.
 *
 * @module
 */
import type { Answer } from "./store.ts";

/** Commits once for all that joined in the same turn of the microtasks. */
export class GroupCommit {
  readonly #commit: () => Answer<void>;
  #group: Promise<void> | undefined;

  /** `commit` writes everything that was gathered so far. */
  constructor(commit: () => Answer<void>) {
    this.#commit = commit;
  }

  /** Settles once what the caller gathered is committed. */
  join(): Promise<void> {
    this.#group ??= Promise.resolve().then(() => {
      this.#group = undefined;
      return this.#commit();
    });
    return this.#group;
  }
}
