/**
 * The tables of a database as another thread learns of them: from the
 * manifest, whose length the owner publishes.
 *
 * @module
 */
import { Table, type TableContext } from "../sstable/table.ts";
import { fileName } from "../version/files.ts";
import { ManifestFollower } from "../version/manifest.ts";
import { Version } from "../version/version.ts";
import { versionOf } from "../version/version_set.ts";

/** The tables as the manifest has them. */
export class SharedTables {
  private readonly directory: string;
  private readonly context: TableContext;
  private manifest: ManifestFollower | undefined;
  private length = 0;
  private tables = new Map<number, Table>();
  private version = new Version([]);

  /** The tables in `directory`. Nothing is read before {@linkcode follow}. */
  constructor(directory: string, context: TableContext) {
    this.directory = directory;
    this.context = context;
  }

  /**
   * The version that a manifest describes up to `length`. It is kept until the
   * next call.
   *
   * @throws if there is no such manifest, or not that long.
   */
  follow(number: number, length: number): Version {
    if (this.manifest?.number === number && this.length === length) {
      return this.version;
    }
    if (this.manifest?.number !== number) {
      this.forgetManifest();
      this.manifest = new ManifestFollower(
        this.context.files,
        this.path("manifest", number),
        number,
      );
    }
    const { manifest } = this;
    try {
      manifest.follow(length);
    } catch (error) {
      this.forgetManifest();
      throw error;
    }
    this.length = length;
    const tables = new Map<number, Table>();
    for (const { table } of manifest.state.tables.values()) {
      tables.set(
        table.number,
        this.tables.get(table.number) ??
          new Table(table, this.path("table", table.number), this.context),
      );
    }
    const old = this.version;
    this.tables = tables;
    this.version = versionOf(manifest.state, tables);
    old.release();
    return this.version;
  }

  private path(kind: "table" | "manifest", number: number): string {
    return `${this.directory}/${fileName(kind, number)}`;
  }

  private forgetManifest(): void {
    this.manifest?.close();
    this.manifest = undefined;
  }

  /** Closes every file. */
  close(): void {
    this.forgetManifest();
    this.version.release();
    this.version = new Version([]);
    this.tables.clear();
    this.context.openFiles.closeAll();
  }
}
