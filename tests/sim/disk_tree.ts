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
import { checksumText } from "./disk_content.ts";
import { type Dice, type LossMode, survivingChanges } from "./disk_fates.ts";
import { FileNode } from "./disk_file.ts";

/** A directory. The two maps may be one, until the entries change. */
class DirectoryNode {
  readonly id: number;
  entries: Map<string, Node> = new Map();
  durable: Map<string, Node> = this.entries;

  constructor(id: number) {
    this.id = id;
  }

  /** The entries, to be changed. */
  writable(): Map<string, Node> {
    if (this.entries === this.durable) this.entries = new Map(this.durable);
    return this.entries;
  }
}

type Node = FileNode | DirectoryNode;

/** An entry that comes to be or, if `isRemoved`, ceases. */
interface Edit {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node;
  readonly isRemoved: boolean;
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
  if (!edit.isRemoved) entries.set(edit.name, edit.node);
  // Another file may have taken the name while this change was lost.
  else if (entries.get(edit.name) === edit.node) entries.delete(edit.name);
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

  /** What is at a path; throws an errno if nothing is. */
  nodeAt(path: string): Node {
    let node: Node = this.#root;
    for (const name of namesIn(path)) {
      if (node instanceof FileNode) throw failure("ENOTDIR");
      const child = node.entries.get(name);
      if (child === undefined) throw failure("ENOENT");
      node = child;
    }
    return node;
  }

  /** The file at a path. */
  fileAt(path: string): FileNode {
    const node = this.nodeAt(path);
    if (node instanceof DirectoryNode) throw failure("EISDIR");
    return node;
  }

  /** Whether anything is at a path. */
  has(path: string): boolean {
    try {
      this.nodeAt(path);
      return true;
    } catch {
      return false; // Only absence is thrown.
    }
  }

  /** The names in a directory, in an order that means nothing. */
  namesAt(path: string): string[] {
    const names = [...this.#directoryAt(namesIn(path)).entries.keys()];
    const places = new Map(names.map((name) => [name, checksumText(name, 0)]));
    const placeOf = (name: string) => places.get(name) ?? 0;
    return names.sort((a, b) => placeOf(a) - placeOf(b) || compareText(a, b));
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

  /** Whether every power loss would leave all entries and files as they are. */
  get isClean(): boolean {
    return this.#changes.length === 0 &&
      this.files().every(({ node }) => node.isClean);
  }

  #directoryAt(names: readonly string[]): DirectoryNode {
    const node = this.nodeAt(names.join("/"));
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
    this.#change([{ directory, name, node, isRemoved: false }]);
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
    this.#change([{ directory, name, node, isRemoved: false }]);
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
      { directory: target, name: targetName, node, isRemoved: false },
      { directory: source, name: sourceName, node, isRemoved: true },
    ]);
  }

  /** Removes the entry of a file. */
  remove(path: string): void {
    const node = this.fileAt(path);
    const [directory, name] = this.#placeOf(path);
    this.#change([{ directory, name, node, isRemoved: true }]);
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
    this.#eachDirectory((directory) => {
      directory.entries = directory.durable;
    });
    for (const node of this.#uncleanFiles()) node.losePower(dice, mode);
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

  /** In the order of their creation: so the dice meet them. */
  #uncleanFiles(): FileNode[] {
    const nodes = new Set(this.files().map(({ node }) => node));
    return [...nodes].filter(({ isClean }) => !isClean)
      .sort((a, b) => a.id - b.id);
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
        node: forkNode(edit.node, copies),
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

  /** A checksum of everything. */
  checksum(): number {
    let sum = 0;
    const files = new Set<FileNode>();
    this.#eachDirectory(({ id, entries, durable }) => {
      for (const each of [entries, durable]) {
        const lines = [...each].map(([name, node]) => `${name}=${node.id};`);
        sum = checksumText(`${id}:${lines.sort(compareText).join("")}`, sum);
        for (const node of each.values()) {
          if (node instanceof FileNode) files.add(node);
        }
      }
    });
    for (const { edits, isLost } of this.#changes) {
      for (const { directory, name, node, isRemoved } of edits) {
        const text = `${directory.id}/${name}=${node.id} ${isRemoved};`;
        sum = checksumText(text, sum);
        if (node instanceof FileNode) files.add(node);
      }
      sum = checksumText(`${isLost}`, sum);
    }
    const inOrder = [...files].sort((a, b) => a.id - b.id);
    return inOrder.reduce((sum, node) => node.checksum(sum), sum);
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
