/**
 * Reads of the tree by its owner.
 *
 * @module
 */
import { Found } from "./cursor.ts";
import { VarveError } from "./errors.ts";
import { type Pin, type ReadSource, type Rows, rowsOf } from "./read/source.ts";
import type { Target } from "./read/target.ts";
import {
  findInto,
  findValue,
  hasValue,
  releaseView,
  retainView,
} from "./read/view.ts";
import type { Bounds } from "./read/visible.ts";
import type { Results } from "./runtime/results.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { Tree } from "./write/tree.ts";

/** A tree as something to read from. */
export class TreeSource implements ReadSource {
  readonly runtime: Runtime;
  readonly results: Results;
  private readonly tree: Tree;
  private readonly found = new Found();

  /** Reads of `tree`. */
  constructor(tree: Tree) {
    this.tree = tree;
    this.runtime = tree.runtime;
    this.results = tree.results;
  }

  checkOpen(): void {
    if (this.tree.isClosed) {
      throw new VarveError("CLOSED", "the database is closed");
    }
  }

  value(
    key: Uint8Array,
    keyLength: number,
    pin: Pin | undefined,
  ): Uint8Array | undefined {
    const { tree } = this;
    const sequence = pin === undefined ? tree.lastSequence : pin.sequence;
    return findValue(
      tree.view(),
      key,
      keyLength,
      sequence,
      this.found,
      this.results,
    );
  }

  valueInto(
    key: Uint8Array,
    keyLength: number,
    pin: Pin | undefined,
    target: Target,
  ): number {
    const { tree, found } = this;
    const sequence = pin === undefined ? tree.lastSequence : pin.sequence;
    return findInto(tree.view(), key, keyLength, sequence, found, target);
  }

  has(key: Uint8Array, keyLength: number, pin: Pin | undefined): boolean {
    const { tree } = this;
    const sequence = pin === undefined ? tree.lastSequence : pin.sequence;
    return hasValue(tree.view(), key, keyLength, sequence, this.found);
  }

  rows(bounds: Bounds, reverse: boolean, pin: Pin | undefined): Rows {
    const { tree } = this;
    const view = tree.view();
    retainView(view);
    try {
      const sequence = pin === undefined ? tree.lastSequence : pin.sequence;
      const rows = rowsOf(view, bounds, sequence, reverse, this.results);
      rows.onClose = () => releaseView(view);
      return rows;
    } catch (error) {
      releaseView(view);
      throw error;
    }
  }

  pin(): Pin {
    return { sequence: this.tree.takeSnapshot() };
  }

  unpin(pin: Pin): void {
    this.tree.dropSnapshot(pin.sequence);
  }
}
