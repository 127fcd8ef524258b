/**
 * The rows of a scan in a thread that does not own the database.
 *
 * A scan is at a pinned moment, which every state shows. So whenever the state
 * has changed between two rows, the scan starts anew behind its last row, and
 * keeps neither files nor memtables. Within a row, a state that is no longer
 * current is good enough as long as its memtables are untouched. A search for
 * the next row that passes many hidden entries is cut into pieces, each of
 * which is made sure of, so that it comes to an end however busy the owner is.
 *
 * @module
 */
import { type Rows, rowsOf } from "../read/source.ts";
import type { View } from "../read/view.ts";
import type { RowBuffer } from "../row_buffer.ts";
import {
  type Bounds,
  Place,
  type RowParts,
  type VisibleRows,
} from "../read/visible.ts";
import type { CellPin, SharedTree } from "./shared_tree.ts";

/** Entries passed in search of a row before the place is made sure of. */
const BUDGET = 1024;

/** The rows between bounds at one moment. */
export class SharedRows implements Rows {
  key: Uint8Array | undefined;
  value: Uint8Array | undefined;
  private readonly tree: SharedTree;
  private readonly bounds: Bounds;
  private readonly reverse: boolean;
  private readonly pin: CellPin;
  private readonly onClose: () => void;
  private place = new Place();
  private nextPlace = new Place();
  private parts: RowParts = "entries";
  private inner: VisibleRows | undefined;
  private view: View | undefined;

  /** The rows of `tree` at the moment of `pin`. */
  constructor(
    tree: SharedTree,
    bounds: Bounds,
    reverse: boolean,
    pin: CellPin,
    onClose: () => void,
  ) {
    this.tree = tree;
    this.bounds = bounds;
    this.reverse = reverse;
    this.pin = pin;
    this.onClose = onClose;
  }

  want(parts: RowParts): void {
    this.parts = parts;
  }

  next(): boolean {
    const { tree } = this;
    for (;;) {
      const version = tree.enter(); // Lets go of what an older state had.
      let isRow: boolean;
      let inner: VisibleRows;
      try {
        inner = this.inner ??= this.start();
        isRow = inner.next();
      } catch (error) {
        if (tree.isCurrent(version)) throw error;
        this.letGo();
        continue;
      }
      // Noted before it is known to be good: it may lie in an arena.
      const isOnward = isRow || inner.isPaused;
      if (isOnward) inner.notePlace(this.nextPlace);
      if (!this.isGood(version)) {
        this.letGo();
        continue;
      }
      if (isOnward) this.takePlace();
      if (inner.isPaused) continue;
      this.key = inner.key;
      this.value = inner.value;
      return isRow;
    }
  }

  fill(buffer: RowBuffer, most: number): boolean {
    while (buffer.count < most && !buffer.isFull) {
      if (!this.next()) return false;
      const { key, value } = this;
      if (key !== undefined && value !== undefined) buffer.add(key, value);
    }
    return true;
  }

  /** Whether what was read since `version` was entered is as the moment has it. */
  private isGood(version: number): boolean {
    const { tree, view } = this;
    const isGood = tree.isCurrent(version) ||
      view !== undefined && tree.isIntact(view);
    tree.checkPin(this.pin);
    return isGood;
  }

  private takePlace(): void {
    const { place } = this;
    this.place = this.nextPlace;
    this.nextPlace = place;
  }

  private start(): VisibleRows {
    const { tree, reverse } = this;
    this.view = tree.shown();
    const inner = rowsOf(
      this.view,
      this.place.rest(this.bounds, reverse),
      this.pin.sequence,
      reverse,
      tree.results,
    );
    inner.want(this.parts);
    inner.budget = BUDGET;
    return inner;
  }

  /** Lets go of what the next row would be read from: it will be found anew. */
  letGo(): void {
    this.inner?.close();
    this.inner = undefined;
    this.view = undefined;
  }

  close(): void {
    this.letGo();
    this.onClose();
  }
}
