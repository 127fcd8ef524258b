/**
 * Walks over the point entries of a sorted run of tables, as one of them.
 *
 * A table is opened when the walk reaches it, so a scan that ends early, or a
 * merge at its start, costs one open table for each level.
 *
 * @module
 */
import type { Fragment, FragmentChunks } from "../memtable/range_tombstones.ts";
import { TableCursor } from "./cursor.ts";
import {
  countTablesBefore,
  countTablesFrom,
  endsBefore,
} from "./sorted_run.ts";
import type { Table } from "./table.ts";

/** A cursor over a sorted run. */
export class LevelCursor extends TableCursor {
  private readonly tables: readonly Table[];
  private index = -1;

  /**
   * Stands nowhere until it is moved.
   *
   * @param tables At least one; each has entries.
   * @param sequential Whether the whole run will be walked over.
   */
  constructor(tables: readonly Table[], sequential: boolean) {
    super(tables[0], sequential, true);
    this.tables = tables;
    for (const { meta } of tables) {
      this.newest = Math.max(this.newest, meta.newest);
      if (meta.olderVersions > 0) this.isUnique = false;
    }
  }

  override seekToFirst(): void {
    this.select(0);
    super.seekToFirst();
  }

  override seekToLast(): void {
    this.select(this.tables.length - 1);
    super.seekToLast();
  }

  override seek(key: Uint8Array, length: number): void {
    let at = Math.max(0, countTablesFrom(this.tables, key, length) - 1);
    const bare = length === key.length ? key : key.subarray(0, length);
    if (
      at + 1 < this.tables.length && endsBefore(this.tables[at].meta, bare)
    ) at++;
    this.select(at);
    super.seek(key, length);
    // The table may end with range tombstones, before the key.
    this.goOnForwards();
  }

  override seekBefore(key: Uint8Array, length: number): void {
    const count = countTablesBefore(this.tables, key, length);
    if (count === 0) {
      this.valid = false;
      return;
    }
    this.select(count - 1);
    super.seekBefore(key, length);
  }

  override skip(key: Uint8Array, length: number, backwards: boolean): void {
    const { index } = this;
    super.skip(key, length, backwards);
    if (!this.valid) return;
    if (backwards ? this.index > index : this.index < index) {
      throw this.tables[index].unordered();
    }
  }

  protected override nextBlock(): void {
    super.nextBlock();
    if (!this.valid) this.goOnForwards();
  }

  protected override previousBlock(): void {
    super.previousBlock();
    if (!this.valid) this.goOnBackwards();
  }

  private select(index: number): void {
    if (index === this.index) return;
    this.index = index;
    this.use(this.tables[index]);
  }

  /** Goes to the next table if this one has nothing more. */
  private goOnForwards(): void {
    while (!this.valid && this.index + 1 < this.tables.length) {
      this.select(this.index + 1);
      super.seekToFirst();
    }
  }

  /** Goes to the table before if this one has nothing more. */
  private goOnBackwards(): void {
    while (!this.valid && this.index > 0) {
      this.select(this.index - 1);
      super.seekToLast();
    }
  }
}

/** The range tombstones of a sorted run, table by table: nothing is copied, however many there are. */
export function runChunks(tables: readonly Table[]): FragmentChunks {
  return tables.filter(({ meta }) => meta.rangeTombstones > 0)
    .map((table) => table.fragments());
}

/** The range tombstones of a sorted run; tables without any are not opened. */
export function runFragments(tables: readonly Table[]): readonly Fragment[] {
  const chunks = runChunks(tables);
  return chunks.length === 1 ? chunks[0] : chunks.flat();
}
