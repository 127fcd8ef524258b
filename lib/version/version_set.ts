/**
 * The only one that changes which files make up the tree.
 *
 * Invariants:
 * - An edit is durable in the manifest before it shows in {@linkcode
 *   VersionSet.current} and before any file that it makes superfluous goes.
 * - File numbers are given once.
 * - An edit that does not fit the tree, or makes tables of a level >= 1
 *   overlap, is refused before anything is written.
 * - A table that changes its level stays the same object, and its file stays.
 * - After a failed append or sync nothing more is written or removed: the
 *   edit may turn up after a crash, and then every file must still be there.
 *   The caller latches the handle; this class refuses on its own too.
 *
 * @module
 */
import { VarveError } from "../errors.ts";
import { removeQuietly } from "../runtime/remove.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import { Table, type TableContext } from "../sstable/table.ts";
import { writeCurrent } from "./current.ts";
import type { Edit } from "./edit.ts";
import { fileName } from "./files.ts";
import { ManifestWriter } from "./manifest.ts";
import type { TreeState } from "./state.ts";
import { Version } from "./version.ts";

/** A manifest that outgrows this and twice its first record is written afresh. */
const ROOMY_MANIFEST = 1024 * 1024;

/** The version that a state describes; `tables` has its tables by number. */
export function versionOf(
  state: TreeState,
  tables: ReadonlyMap<number, Table>,
): Version {
  const levels: Table[][] = [];
  for (const { level, table } of state.tables.values()) {
    while (levels.length <= level) levels.push([]);
    const reader = tables.get(table.number);
    if (reader !== undefined) levels[level].push(reader);
  }
  return new Version(levels);
}

/** The tree's files and their manifest. */
export class VersionSet {
  /** The directory of the database. */
  readonly directory: string;
  private readonly files: FileSystem;
  private readonly context: TableContext;
  private readonly state: TreeState;
  private readonly tables = new Map<number, Table>();
  private manifest: ManifestWriter | undefined;
  private snapshotLength = 0;
  private failed = false;
  /** Whether CURRENT may lead to a manifest of this set. */
  mayBeInstalled = false;
  private readonly removals = new Set<Promise<void>>();
  private version: Version;
  /** Called when an edit is durable, before the files that it makes superfluous go. */
  onCommit: (() => void) | undefined;

  /** The tree of `state`. Nothing is written before {@linkcode install}. */
  constructor(directory: string, state: TreeState, context: TableContext) {
    this.directory = directory;
    this.files = context.files;
    this.context = context;
    this.state = state;
    for (const { table } of state.tables.values()) {
      this.tables.set(
        table.number,
        new Table(table, this.path("table", table.number), context),
      );
    }
    this.version = this.makeVersion();
  }

  /** The path of a numbered file. */
  path(kind: "log" | "table" | "manifest", number: number): string {
    return `${this.directory}/${fileName(kind, number)}`;
  }

  /** The tables as of now. */
  get current(): Version {
    return this.version;
  }

  /** The manifest that says all this, and up to where. */
  get manifestPlace(): { readonly number: number; readonly length: number } {
    const { manifest } = this;
    if (manifest === undefined) {
      throw new VarveError("CLOSED", `${this.directory} has no open manifest`);
    }
    return { number: manifest.number, length: manifest.bytes };
  }

  /** Whether the tree has a table of that number. */
  hasTable(number: number): boolean {
    return this.tables.has(number);
  }

  /** Numbers of the logs that a recovery would replay, ascending. */
  get logs(): number[] {
    return [...this.state.logs.keys()].sort((a, b) => a - b);
  }

  /** Bytes of the sealed logs. */
  get sealedLogBytes(): number {
    let bytes = 0;
    for (const { seal } of this.state.logs.values()) bytes += seal?.length ?? 0;
    return bytes;
  }

  /** A file number that was never given. */
  newFileNumber(): number {
    return this.reserveFileNumbers(1);
  }

  /** The first of `count` file numbers in a row that were never given. */
  reserveFileNumbers(count: number): number {
    const first = this.state.nextFileNumber;
    this.state.nextFileNumber += count;
    return first;
  }

  /** Writes a fresh manifest with `edit` applied and makes CURRENT name it. */
  install(edit: Edit): void {
    const old = this.manifest;
    this.guard(() => {
      const number = this.newFileNumber();
      const misfit = this.state.apply(edit);
      if (misfit !== undefined) {
        throw new VarveError("CORRUPTION", `an edit ${misfit}`);
      }
      const path = this.path("manifest", number);
      const manifest = new ManifestWriter(this.files, path, number);
      let isNamed = false;
      try {
        manifest.append(this.state.snapshot());
        // mutant sync-directory-of-manifest: without it CURRENT may name a manifest that is missing
        this.files.syncDirectory(this.directory);
        this.snapshotLength = manifest.bytes;
        isNamed = true;
        this.mayBeInstalled = true;
        writeCurrent(this.files, this.directory, {
          manifest: number,
          snapshotLength: manifest.bytes,
        });
      } catch (error) {
        manifest.close();
        if (!isNamed) removeQuietly(this.files, path);
        throw error;
      }
      this.manifest = manifest;
    });
    if (old === undefined) return;
    this.onCommit?.();
    old.close();
    this.removeFile(this.path("manifest", old.number));
  }

  /**
   * Makes an edit durable and then true.
   *
   * @throws `CORRUPTION` if the edit does not fit; nothing was written then.
   * @throws whatever a write or sync of the manifest threw; the tree is as
   * before, or, if a fresh manifest could not be made behind the edit, as the
   * edit makes it.
   */
  commit(edit: Edit): void {
    const manifest = this.manifest;
    if (manifest === undefined) {
      throw new VarveError("CLOSED", `${this.directory} has no open manifest`);
    }
    const misfit = this.state.misfit(edit);
    if (misfit !== undefined) {
      throw new VarveError("CORRUPTION", `an edit ${misfit}`);
    }
    // mutant edit-before-logs-go: a log goes only when the edit is durable that makes it superfluous
    // mutant edit-before-tables-go: a table goes only when the edit is durable that removes it
    this.guard(() =>
      manifest.append({ ...edit, nextFileNumber: this.state.nextFileNumber })
    );
    this.state.apply(edit);
    this.onCommit?.();
    this.showTables(edit);
    for (const number of edit.removeLogs ?? []) {
      this.removeFile(this.path("log", number));
    }
    if (manifest.bytes > ROOMY_MANIFEST + 2 * this.snapshotLength) {
      this.install({});
    }
  }

  private guard(write: () => void): void {
    // no mutant: the tree commits nothing behind a failure (latch-before-edit); this does not rely on it
    if (this.failed) {
      throw new VarveError(
        "READ_ONLY",
        `an earlier write of the manifest of ${this.directory} failed`,
      );
    }
    this.failed = true;
    write();
    this.failed = false;
  }

  private showTables(edit: Edit): void {
    if (edit.addTables === undefined && edit.removeTables === undefined) return;
    const moved = new Set<number>();
    for (const { table } of edit.addTables ?? []) {
      if (this.tables.has(table.number)) {
        moved.add(table.number);
        continue;
      }
      this.tables.set(
        table.number,
        new Table(table, this.path("table", table.number), this.context),
      );
    }
    for (const number of edit.removeTables ?? []) {
      // mutant moved-tables-stay: otherwise a table that changes its level is removed
      if (moved.has(number)) continue;
      const table = this.tables.get(number);
      this.tables.delete(number);
      table?.retire(() => this.removeFile(this.path("table", number)));
    }
    const old = this.version;
    this.version = this.makeVersion();
    old.release();
  }

  private makeVersion(): Version {
    return versionOf(this.state, this.tables);
  }

  /** Removes a file that no version names. If that fails, it is not worth failing for: the next open tries again. */
  private removeFile(path: string): void {
    // no mutant: what goes was removed by an edit that is durable; after closing, the directory is somebody else's
    if (this.failed) return;
    if (this.files.removeAside !== undefined) {
      const removal = this.files.removeAside(path).catch(() => {})
        .finally(() => this.removals.delete(removal));
      this.removals.add(removal);
      return;
    }
    removeQuietly(this.files, path);
  }

  /** Resolves when every file is gone whose removal was begun. */
  async removed(): Promise<void> {
    await Promise.all(this.removals);
  }

  /** Closes every file. */
  close(): void {
    this.manifest?.close();
    this.manifest = undefined;
    for (const table of this.tables.values()) table.close();
    this.context.openFiles.closeAll(); // Scans may hold tables of older versions.
    this.failed = true;
  }
}
