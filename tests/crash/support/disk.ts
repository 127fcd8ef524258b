/**
 * A disk under one database: the file system in memory, with every operation
 * told to the test before it happens, syncs that can be left out one kind at a
 * time, and crashes that are less kind than the plainest one.
 *
 * The file system in memory keeps after a power loss exactly what was synced.
 * A real one may keep more: any of the writes and directory entries that were
 * not synced, whole, in part or as zeros. {@linkcode Disk.afterChaos} makes
 * such disks.
 *
 * @module
 */
import { ioError, ioFailure } from "../../../lib/runtime/errno.ts";
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type {
  File,
  FileStatus,
  FileSystem,
  Lock,
  OpenMode,
} from "../../../lib/runtime/runtime.ts";
import type { Random } from "../../engine/support/random.ts";
import { kindOfPath, PATH } from "../../engine/support/memory.ts";

/** The directory that holds the database's. */
const PARENT = PATH.slice(0, PATH.lastIndexOf("/"));

/** What the engine does to a disk. `syncEnd` is when an asynchronous sync is done, well or badly. */
export type Operation =
  | "open"
  | "create"
  | "read"
  | "write"
  | "sync"
  | "syncEnd"
  | "list"
  | "makeDirectory"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "lock";

/** Which sync it is: by what is synced, and what it is synced after. */
export type SyncSite =
  | "header of a log"
  | "log, for acknowledgements"
  | "log, before the next one"
  | "log, written again at opening"
  | "table"
  | "new manifest"
  | "edit of the manifest"
  | "CURRENT"
  | "directory, after a log made at opening"
  | "directory, after a log"
  | "directory, after a manifest"
  | "directory, after CURRENT"
  | "directory, after a table"
  | "directory of the directory";

/** One operation, as the test is told. */
export interface Event {
  /** What happens. */
  readonly operation: Operation;
  /** To which file or directory. */
  readonly path: string;
  /** Which sync it is; absent for all else. */
  readonly site?: SyncSite;
  /** How many bytes shall be written; absent for all but writes. */
  readonly length?: number;
}

/** What a test may want to do differently. */
export interface DiskOptions {
  /** Called before each operation; what it throws is the operation's failure. A write for which it returns a number fails after so many bytes. */
  readonly onEvent?: (event: Event) => number | void;
  /** Whether this sync shall do nothing and say that it did. */
  readonly ignores?: (site: SyncSite) => boolean;
  /** How long an asynchronous sync takes. */
  readonly syncDelay?: () => Promise<void>;
  /** Whether the database's directory, if it is there, outlives a power loss. */
  readonly directoryLasts?: boolean;
}

/** Bytes that were written, and whether a power loss spares them. */
interface Written {
  readonly position: number;
  readonly bytes: Uint8Array;
  state: "dirty" | "synced" | "lost";
}

/** A file, as the order of its writes. */
class Node {
  readonly writes: Written[] = [];

  get length(): number {
    let length = 0;
    for (const { position, bytes } of this.writes) {
      length = Math.max(length, position + bytes.length);
    }
    return length;
  }

  get dirty(): Written[] {
    return this.writes.filter(({ state }) => state === "dirty");
  }

  /** The bytes after a power loss in which `survives` says what becomes of unsynced writes. */
  content(survives: (write: Written) => Uint8Array | undefined): Uint8Array {
    const kept: [position: number, bytes: Uint8Array][] = [];
    for (const write of this.writes) {
      const bytes = write.state === "synced" ? write.bytes : survives(write);
      if (bytes !== undefined) kept.push([write.position, bytes]);
    }
    const length = Math.max(0, ...kept.map(([at, { length }]) => at + length));
    const content = new Uint8Array(length);
    for (const [position, bytes] of kept) content.set(bytes, position);
    return content;
  }
}

/** What chaos makes of one unsynced write. */
function torn(bytes: Uint8Array, random: Random): Uint8Array | undefined {
  const fate = random.below(8);
  if (fate < 2) return undefined;
  if (fate < 5) return bytes;
  if (fate === 5) return new Uint8Array(bytes.length); // The length alone was saved.
  const cut = random.below(bytes.length + 1);
  if (fate === 6) return bytes.slice(0, cut);
  return new Uint8Array(bytes.length).fill(0, 0, cut)
    .map((_, i) => i < cut ? 0 : bytes[i]);
}

class DiskFile implements File {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: File;
  readonly #node: Node;

  constructor(disk: Disk, file: File, node: Node) {
    this.path = file.path;
    this.#disk = disk;
    this.#file = file;
    this.#node = node;
  }

  readAt(into: Uint8Array, position: number): number {
    this.#disk.tell("read", this.path);
    return this.#file.readAt(into, position);
  }

  writeAt(bytes: Uint8Array, position: number): void {
    const most = this.#disk.tell("write", this.path, undefined, bytes.length);
    const part = bytes.slice(0, most ?? bytes.length);
    this.#file.writeAt(part, position);
    this.#node.writes.push({ position, bytes: part, state: "dirty" });
    if (most !== undefined) throw ioFailure("write", this.path, "ENOSPC");
  }

  size(): number {
    return this.#file.size();
  }

  async sync(): Promise<void> {
    const site = this.#disk.siteOf(this.path, this.#node, true);
    const saved = this.#begin(site);
    try {
      await this.#disk.syncDelay();
      this.#disk.tell("syncEnd", this.path, site);
    } catch (error) {
      for (const write of saved) write.state = "lost";
      throw error;
    }
    if (this.#disk.ignores(site)) return;
    await this.#file.sync();
    for (const write of saved) write.state = "synced";
  }

  syncNow(): void {
    const site = this.#disk.siteOf(this.path, this.#node, false);
    const saved = this.#begin(site);
    if (this.#disk.ignores(site)) return;
    this.#file.syncNow();
    for (const write of saved) write.state = "synced";
  }

  /** A sync that fails marks what it should have saved as clean. */
  #begin(site: SyncSite): Written[] {
    const saved = this.#node.dirty;
    try {
      this.#disk.tell("sync", this.path, site);
    } catch (error) {
      for (const write of saved) write.state = "lost";
      throw error;
    }
    return saved;
  }

  close(): void {
    this.#file.close();
  }
}

/** See the head of this file. */
export class Disk implements FileSystem {
  readonly syncDelay: () => Promise<void>;
  readonly ignores: (site: SyncSite) => boolean;
  /** Set while a database is being opened: its syncs have sites of their own. */
  isOpening = false;
  /** Syncs that were asked for, by site. */
  readonly syncs: Map<SyncSite, number> = new Map();
  readonly #files: MemoryFileSystem;
  readonly #onEvent: DiskOptions["onEvent"];
  #entries: Map<string, Node> = new Map();
  #durable: Map<string, Node> = new Map();
  #directoryLasts: boolean;
  #changed: SyncSite = "directory, after a log";

  /** The disk over `files`, all of whose database is taken to be synced. */
  constructor(files: MemoryFileSystem, options: DiskOptions = {}) {
    this.#files = files;
    this.#onEvent = options.onEvent;
    this.ignores = options.ignores ?? (() => false);
    this.syncDelay = options.syncDelay ?? (() => Promise.resolve());
    const isThere = files.stat(PATH) !== undefined;
    this.#directoryLasts = isThere && (options.directoryLasts ?? true);
    if (!isThere) return;
    for (const name of files.list(PATH)) {
      const node = new Node();
      const bytes = files.readFile(`${PATH}/${name}`);
      node.writes.push({ position: 0, bytes, state: "synced" });
      this.#entries.set(name, node);
    }
    this.#durable = new Map(this.#entries);
  }

  // --- Crashes ---

  /** After the process died: everything is there, the unsynced as unsynced. */
  afterProcessDeath(): MemoryFileSystem {
    return this.#files.afterProcessDeath();
  }

  /** After a power loss that spared exactly what was synced. */
  afterPowerLoss(): MemoryFileSystem {
    return this.#image(this.#durable, () => undefined);
  }

  /** Whether there is anything that a power loss may spare or not. */
  get isUnsynced(): boolean {
    const entries = [...this.#entries];
    return entries.length !== this.#durable.size ||
      entries.some(([name, node]) =>
        this.#durable.get(name) !== node || node.dirty.length > 0
      );
  }

  /** After a power loss that spared, of what was not synced, anything. */
  afterChaos(random: Random): MemoryFileSystem {
    const entries = new Map<string, Node>();
    for (
      const name of new Set([...this.#durable.keys(), ...this.#entries.keys()])
    ) {
      const old = this.#durable.get(name);
      const now = this.#entries.get(name);
      const node = random.chance(50) ? old : now;
      if (node !== undefined) entries.set(name, node);
    }
    return this.#image(
      entries,
      ({ bytes, state }) => state === "dirty" ? torn(bytes, random) : undefined,
    );
  }

  #image(
    entries: ReadonlyMap<string, Node>,
    survives: (write: Written) => Uint8Array | undefined,
  ): MemoryFileSystem {
    const image = new MemoryFileSystem();
    image.makeDirectory(this.#directoryLasts ? PATH : PARENT);
    if (!this.#directoryLasts) return image;
    for (const [name, node] of entries) {
      image.writeFile(`${PATH}/${name}`, node.content(survives));
    }
    return image;
  }

  // --- What files tell ---

  /** Tells the test of an operation; returns after how many bytes it shall fail. */
  tell(
    operation: Operation,
    path: string,
    site?: SyncSite,
    length?: number,
  ): number | undefined {
    if (site !== undefined && operation !== "syncEnd") this.#count(site);
    try {
      return this.#onEvent?.({
        operation,
        path,
        ...site === undefined ? {} : { site },
        ...length === undefined ? {} : { length },
      }) ?? undefined;
    } catch (thrown) {
      throw ioError(operation, path, thrown);
    }
  }

  #count(site: SyncSite): void {
    this.syncs.set(site, (this.syncs.get(site) ?? 0) + 1);
  }

  /** Which sync of a file it is. */
  siteOf(path: string, node: Node, isShared: boolean): SyncSite {
    switch (kindOfPath(path)) {
      case "log":
        if (isShared) return "log, for acknowledgements";
        if (node.writes.length === 1) return "header of a log";
        return this.isOpening
          ? "log, written again at opening"
          : "log, before the next one";
      case "table":
        return "table";
      case "manifest":
        return node.writes.some(({ state }) => state !== "dirty")
          ? "edit of the manifest"
          : "new manifest";
      case "temporary":
        return "CURRENT";
      default:
        throw new Error(`a sync of ${path}`);
    }
  }

  #note(path: string): void {
    const kind = kindOfPath(path);
    if (kind === "log") {
      this.#changed = this.isOpening
        ? "directory, after a log made at opening"
        : "directory, after a log";
    } else if (kind === "manifest") {
      this.#changed = "directory, after a manifest";
    } else if (kind === "table") this.#changed = "directory, after a table";
    else if (kind === "current") this.#changed = "directory, after CURRENT";
  }

  // --- FileSystem ---

  open(path: string, mode: OpenMode): File {
    this.tell(mode === "create" ? "create" : "open", path);
    const file = this.#files.open(path, mode);
    const name = nameOf(path);
    if (mode === "create") {
      this.#entries.set(name, new Node());
      this.#note(path);
    }
    const node = this.#entries.get(name);
    if (node === undefined) throw new Error(`${path} is not known`);
    return new DiskFile(this, file, node);
  }

  stat(path: string): FileStatus | undefined {
    return this.#files.stat(path);
  }

  list(directory: string): string[] {
    this.tell("list", directory);
    return this.#files.list(directory);
  }

  makeDirectory(path: string): void {
    const site = "directory of the directory";
    this.tell("makeDirectory", path, site);
    this.#files.makeDirectory(path);
    if (!this.ignores(site)) this.#directoryLasts = true;
  }

  rename(from: string, to: string): void {
    this.tell("rename", `${from} to ${to}`);
    this.#files.rename(from, to);
    const node = this.#entries.get(nameOf(from));
    if (node === undefined) throw new Error(`${from} is not known`);
    this.#entries.delete(nameOf(from));
    this.#entries.set(nameOf(to), node);
    this.#note(to);
  }

  remove(path: string): void {
    this.tell("remove", path);
    this.#files.remove(path);
    this.#entries.delete(nameOf(path));
  }

  syncDirectory(path: string): void {
    const site = this.#changed;
    this.tell("syncDirectory", path, site);
    if (this.ignores(site)) return;
    this.#files.syncDirectory(path);
    if (path === PARENT) this.#directoryLasts = true;
    else this.#durable = new Map(this.#entries);
  }

  /** Grants every lock: a process that a scenario gave up holds its own for ever. */
  lock(path: string): Promise<Lock> {
    return Promise.try(() => {
      this.tell("lock", path);
      return { release: () => {} };
    });
  }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
