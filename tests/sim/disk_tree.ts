/**
 * The directories of the simulated disk: their entries as a process sees them,
 * those that are synced, and the changes between the two.
 *
 * Invariants:
 * - A change is done wholly or not at all: a rename never leaves its target
 *   without an entry.
 * - A sync of a directory makes its entries durable as they are. Where an
 *   unsynced rename ties it to another directory, that one's too.
 * - An entry that is durable stays until a change that takes it away is
 *   durable or survives.
 * - What is durable with every unsynced change over it is what processes see.
 *
 * @module
 */
import { type LossMode, survivingChanges } from "./disk_fates.ts";
import { FileNode } from "./disk_file.ts";
import { type Dice, hashText } from "./random.ts";

/** A directory. The two maps may be one, until the entries change. */
export class DirectoryNode {
  readonly id: number;
  entries: Map<string, Node> = new Map();
  durable: Map<string, Node> = this.entries;

  constructor(id: number) {
    this.id = id;
  }

  /** Whether the entries are those that are durable. */
  get isClean(): boolean {
    if (this.entries === this.durable) return true;
    if (this.entries.size !== this.durable.size) return false;
    return [...this.entries].every(([name, node]) =>
      this.durable.get(name) === node
    );
  }

  /** The entries, to be changed. */
  writable(): Map<string, Node> {
    if (this.entries === this.durable) this.entries = new Map(this.durable);
    return this.entries;
  }
}

/** What an entry may lead to. */
export type Node = FileNode | DirectoryNode;

/** An entry that comes to be or, without a node, ceases. */
interface Edit {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
}

/** Edits that are made together. */
interface Change {
  readonly edits: readonly Edit[];
  /** Whether a sync that failed has lost it. */
  readonly isLost: boolean;
}

/** What becomes of a sync of a directory. */
export type DirectorySyncOutcome = "saved" | "lost";

/** A file, by its path. */
export interface FileEntry {
  readonly path: string;
  readonly node: FileNode;
}

/** A failure with an errno, as a runtime would throw it. */
export function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** The names on the way to a path. Absolute and relative paths are the same. */
function namesIn(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return names;
}

function apply(entries: Map<string, Node>, edit: Edit): void {
  if (edit.node === undefined) entries.delete(edit.name);
  else entries.set(edit.name, edit.node);
}

/** By UTF-16 code units, the same on every runtime. */
function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** See the head of this file. */
export class Tree {
  #root: DirectoryNode = new DirectoryNode(0);
  #nodes: number = 1;
  /** The changes that are not durable, the first one first. */
  #changes: Change[] = [];

  // --- Looking ---

  /** What is at a path, or the errno of not finding it. */
  #walk(path: string): Node | "ENOENT" | "ENOTDIR" {
    let node: Node = this.#root;
    for (const name of namesIn(path)) {
      if (node instanceof FileNode) return "ENOTDIR";
      const child = node.entries.get(name);
      if (child === undefined) return "ENOENT";
      node = child;
    }
    return node;
  }

  /** What is at a path; `undefined` if nothing is. */
  find(path: string): Node | undefined {
    const found = this.#walk(path);
    return typeof found === "string" ? undefined : found;
  }

  #nodeAt(path: string): Node {
    const found = this.#walk(path);
    if (typeof found === "string") throw failure(found);
    return found;
  }

  /** The file at a path; throws an errno if there is none. */
  fileAt(path: string): FileNode {
    const node = this.#nodeAt(path);
    if (node instanceof DirectoryNode) throw failure("EISDIR");
    return node;
  }

  /** The names in a directory, in an order that means nothing. */
  namesAt(path: string): string[] {
    const { entries } = this.#directoryAt(namesIn(path));
    return Array.from(
      entries.keys(),
      (name) => ({ name, place: hashText(name) }),
    )
      .sort((a, b) => a.place - b.place || compareText(a.name, b.name))
      .map(({ name }) => name);
  }

  /** Every file that a process can reach, by path. */
  files(): FileEntry[] {
    const files: FileEntry[] = [];
    const visit = (directory: DirectoryNode, path: string) => {
      for (const [name, node] of directory.entries) {
        const entry = `${path}/${name}`;
        if (node instanceof FileNode) files.push({ path: entry, node });
        else visit(node, entry);
      }
    };
    visit(this.#root, "");
    return files.sort((a, b) => compareText(a.path, b.path));
  }

  /** Whether every power loss would leave what processes see. */
  get isClean(): boolean {
    let isClean = this.#changes.length === 0;
    this.#eachDirectory((directory) => {
      isClean &&= directory.isClean;
      for (const node of directory.entries.values()) {
        if (node instanceof FileNode) isClean &&= node.isClean;
      }
    });
    return isClean;
  }

  #directoryAt(names: readonly string[]): DirectoryNode {
    const node = this.#nodeAt(names.join("/"));
    if (node instanceof FileNode) throw failure("ENOTDIR");
    return node;
  }

  /** The directory that holds the entry of a path, and the entry's name. */
  #placeOf(path: string): [DirectoryNode, string] {
    const names = namesIn(path);
    const name = names.pop();
    if (name === undefined) throw failure("EISDIR");
    return [this.#directoryAt(names), name];
  }

  // --- Changing ---

  /** Makes an empty file. */
  createFile(path: string): FileNode {
    const [directory, name] = this.#placeOf(path);
    if (directory.entries.has(name)) throw failure("EEXIST");
    const node = new FileNode(this.#nodes++);
    this.#change([{ directory, name, node }]);
    return node;
  }

  /** Makes a directory in one that exists. One that is there may stay. */
  makeDirectory(path: string): void {
    if (namesIn(path).length === 0) return;
    const [directory, name] = this.#placeOf(path);
    const there = directory.entries.get(name);
    if (there instanceof FileNode) throw failure("EEXIST");
    if (there !== undefined) return;
    const node = new DirectoryNode(this.#nodes++);
    this.#change([{ directory, name, node }]);
  }

  /** Moves a file; one that has the target's name loses it in the same change. */
  rename(from: string, to: string): void {
    const node = this.fileAt(from);
    const [source, sourceName] = this.#placeOf(from);
    const [target, targetName] = this.#placeOf(to);
    const there = target.entries.get(targetName);
    if (there instanceof DirectoryNode) throw failure("EISDIR");
    if (there === node) return;
    this.#change([
      { directory: target, name: targetName, node },
      { directory: source, name: sourceName, node: undefined },
    ]);
  }

  /** Removes the entry of a file. */
  remove(path: string): void {
    this.fileAt(path); // It throws for what is no file.
    const [directory, name] = this.#placeOf(path);
    this.#change([{ directory, name, node: undefined }]);
  }

  #change(edits: readonly Edit[]): void {
    for (const edit of edits) apply(edit.directory.writable(), edit);
    this.#changes.push({ edits, isLost: false });
  }

  /** Makes the entries of a directory durable, or fails to. */
  syncDirectory(path: string, outcome: DirectorySyncOutcome): void {
    const tied = this.#tiedTo(this.#directoryAt(namesIn(path)));
    const isMeant = ({ edits }: Change) =>
      edits.some(({ directory }) => tied.has(directory));
    if (outcome === "lost") {
      this.#changes = this.#changes.map((change) =>
        isMeant(change) ? { ...change, isLost: true } : change
      );
      return;
    }
    for (const change of this.#changes.filter(isMeant)) {
      if (!change.isLost) this.#makeDurable(change);
    }
    this.#changes = this.#changes.filter((change) => !isMeant(change));
  }

  /** A directory and those to which unsynced renames tie it. */
  #tiedTo(directory: DirectoryNode): Set<DirectoryNode> {
    const tied = new Set([directory]);
    let known = 0;
    while (known < tied.size) {
      known = tied.size;
      for (const { edits } of this.#changes) {
        if (!edits.some((edit) => tied.has(edit.directory))) continue;
        for (const edit of edits) tied.add(edit.directory);
      }
    }
    return tied;
  }

  #makeDurable({ edits }: Change): void {
    for (const edit of edits) apply(edit.directory.durable, edit);
  }

  // --- What happens to the machine ---

  /** The power failed: what remains is durable. */
  losePower(dice: Dice, mode: LossMode): void {
    const surviving = mode === "lose-all"
      ? []
      : mode === "keep-all"
      ? this.#changes.filter(({ isLost }) => !isLost)
      : survivingChanges(this.#changes, dice);
    for (const change of surviving) this.#makeDurable(change);
    this.#changes = [];
    const files = new Set<FileNode>();
    this.#eachDirectory((directory) => {
      directory.entries = directory.durable;
      for (const node of directory.entries.values()) {
        if (node instanceof FileNode && !node.isClean) files.add(node);
      }
    });
    // The dice meet the files in the order of their creation.
    const inOrder = [...files].sort((a, b) => a.id - b.id);
    for (const node of inOrder) node.losePower(dice, mode);
  }

  /** The page cache lets go of what is clean, so that reads show the medium. */
  dropCleanPages(): void {
    this.#eachDirectory((directory) => {
      directory.entries = new Map(directory.durable);
    });
    this.#changes = this.#changes.filter(({ isLost }) => !isLost);
    for (const { edits } of this.#changes) {
      for (const edit of edits) apply(edit.directory.writable(), edit);
    }
    for (const { node } of this.files()) {
      if (!node.isClean) node.dropCleanPages();
    }
  }

  #eachDirectory(call: (directory: DirectoryNode) => void): void {
    const visit = (directory: DirectoryNode) => {
      call(directory);
      for (const node of directory.entries.values()) {
        if (node instanceof DirectoryNode) visit(node);
      }
    };
    visit(this.#root);
  }

  /** An equal tree for another disk. */
  fork(): Tree {
    const fork = new Tree();
    const copies = new Map<Node, Node>();
    fork.#root = forkDirectory(this.#root, copies);
    fork.#nodes = this.#nodes;
    fork.#changes = this.#changes.map(({ edits, isLost }) => ({
      edits: edits.map((edit) => ({
        ...edit,
        directory: forkDirectory(edit.directory, copies),
        node: edit.node && forkNode(edit.node, copies),
      })),
      isLost,
    }));
    return fork;
  }

  /** Makes a file, or replaces its bytes; durable at once, entry included. */
  replaceFile(path: string, bytes: Uint8Array): void {
    const [directory, name] = this.#placeOf(path);
    let node = directory.entries.get(name);
    if (node instanceof DirectoryNode) throw failure("EISDIR");
    node ??= new FileNode(this.#nodes++);
    node.replace(bytes);
    directory.writable().set(name, node);
    directory.durable.set(name, node);
  }

  // --- For traces ---

  /** All that can be told of the tree, in one text. */
  describe(): string {
    const lines: string[] = [];
    const files = new Set<FileNode>();
    this.#eachDirectory(({ id, entries, durable }) => {
      for (const each of [entries, durable]) {
        const names = Array.from(each, ([name, node]) => `${name}=${node.id}`);
        lines.push(`${id}: ${names.sort(compareText).join()}`);
        for (const node of each.values()) {
          if (node instanceof FileNode) files.add(node);
        }
      }
    });
    for (const { edits, isLost } of this.#changes) {
      for (const { directory, name, node } of edits) {
        lines.push(`${directory.id}/${name}=${node?.id}`);
        if (node instanceof FileNode) files.add(node);
      }
      lines.push(isLost ? "lost" : "unsynced");
    }
    for (const node of [...files].sort((a, b) => a.id - b.id)) {
      lines.push(`${node.id}: ${node.describe()}`);
    }
    return lines.join("\n");
  }
}

// --- Copies ---

function forkNode(node: Node, copies: Map<Node, Node>): Node {
  if (node instanceof DirectoryNode) return forkDirectory(node, copies);
  let copy = copies.get(node);
  if (copy === undefined) copies.set(node, copy = node.fork());
  return copy;
}

function forkDirectory(
  directory: DirectoryNode,
  copies: Map<Node, Node>,
): DirectoryNode {
  const known = copies.get(directory);
  if (known instanceof DirectoryNode) return known;
  const copy = new DirectoryNode(directory.id);
  copies.set(directory, copy);
  copy.durable = forkEntries(directory.durable, copies);
  copy.entries = directory.entries === directory.durable
    ? copy.durable
    : forkEntries(directory.entries, copies);
  return copy;
}

function forkEntries(
  entries: ReadonlyMap<string, Node>,
  copies: Map<Node, Node>,
): Map<string, Node> {
  const copy = new Map<string, Node>();
  for (const [name, node] of entries) copy.set(name, forkNode(node, copies));
  return copy;
}
