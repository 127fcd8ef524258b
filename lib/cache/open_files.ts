/**
 * Bounds how many table files are open at once.
 *
 * Operating systems allow a process some hundreds of open files. Whoever
 * opened its file first has it closed first, and opens it again when needed.
 *
 * @module
 */

/** Something whose file can be closed behind its back. */
export interface FileOwner {
  /** Closes the file; the next read opens it again. */
  closeFile(): void;
}

/** The open files of one database. */
export class OpenFiles {
  private readonly most: number;
  private readonly owners = new Set<FileOwner>();

  /** Keeps at most `most` files open. */
  constructor(most: number) {
    this.most = most;
  }

  /** Notes that `owner` opened its file. */
  add(owner: FileOwner): void {
    for (const oldest of this.owners) {
      if (this.owners.size < this.most) break;
      oldest.closeFile();
    }
    this.owners.add(owner);
  }

  /** Closes every file. */
  closeAll(): void {
    for (const owner of [...this.owners]) owner.closeFile();
  }

  /** Notes that `owner` closed its file. */
  remove(owner: FileOwner): void {
    this.owners.delete(owner);
  }
}
