/**
 * Walks over the point entries of an arena.
 *
 * @module
 */
import { Cursor } from "../cursor.ts";
import type { ArenaNodes } from "./arena.ts";

/**
 * A cursor over the point entries of an arena.
 *
 * There are no back links: stepping back from a key costs a search for its
 * newest version. The versions of a key are noted on the way, so that each
 * step back among them costs nothing more.
 */
export class ArenaCursor extends Cursor {
  private readonly list: ArenaNodes;
  private node = 0;
  /** Newer versions of the key, newest first, that stepping back comes to; */
  private readonly newer: number[] = [];
  /** and the node before them, if they are known; -1 if not. */
  private beforeKey = -1;

  /** Stands nowhere until it is moved. */
  constructor(list: ArenaNodes) {
    super();
    this.list = list;
    this.key = list.bytes;
    this.value = list.bytes;
  }

  override seekToFirst(): void {
    this.jump(this.list.first());
  }

  override seekToLast(): void {
    this.jump(this.list.last());
  }

  override seek(key: Uint8Array, length: number): void {
    this.jump(this.list.seek(key, length));
  }

  override seekBefore(key: Uint8Array, length: number): void {
    this.jump(this.list.seekBefore(key, length));
  }

  override next(): void {
    this.jump(this.list.after(this.node));
  }

  override previous(): void {
    const { list, newer } = this;
    if (this.beforeKey < 0) {
      let version = list.newestOf(this.node);
      this.beforeKey = list.beforeLast;
      for (; version !== this.node; version = list.after(version)) {
        newer.push(version);
      }
    }
    const version = newer.pop();
    if (version === undefined) this.jump(this.beforeKey);
    else this.stand(version);
  }

  private jump(node: number): void {
    this.beforeKey = -1;
    this.newer.length = 0;
    this.stand(node);
  }

  private stand(node: number): void {
    this.node = node;
    if (node === 0) {
      this.valid = false;
      return;
    }
    const list = this.list;
    this.valid = true;
    this.keyStart = list.keyStart(node);
    this.keyEnd = this.keyStart + list.keyLength(node);
    this.sequence = list.sequenceOf(node);
    this.kind = list.kindOf(node);
    this.valueStart = this.keyEnd;
    this.valueEnd = this.keyEnd + list.valueLength(node);
  }
}
