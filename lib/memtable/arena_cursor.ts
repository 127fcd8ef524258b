/**
 * Walks over the point entries of an arena.
 *
 * @module
 */
import { Cursor, MAX_SEQUENCE } from "../cursor.ts";
import type { ArenaNodes } from "./arena.ts";

/**
 * A cursor over the point entries of an arena.
 *
 * There are no back links: stepping back from a key costs a search for its
 * newest version. The versions of a key are noted on the way, so that each
 * step back among them costs nothing more.
 *
 * A key that is written again and again has as many versions. Who wants one of
 * them passes the others by a search: {@linkcode ArenaCursor.passVersions}
 * forwards, {@linkcode ArenaCursor.riseTo} and {@linkcode
 * ArenaCursor.previousKey} backwards.
 */
export class ArenaCursor extends Cursor {
  private readonly list: ArenaNodes;
  private node = 0;
  /** The node before the versions of the key, where it is known; -1 if not. */
  private beforeKey = -1;
  /** Newer versions of the key, newest first, that stepping back comes to, */
  private readonly newer: number[] = [];
  /** if they were noted. */
  private hasNewer = false;

  /** Stands nowhere until it is moved. */
  constructor(list: ArenaNodes) {
    super();
    this.list = list;
    this.key = list.bytes;
    this.keyWords = list.words;
    this.keyView = list.view;
    this.value = list.bytes;
    this.words = list.words;
    this.view = list.view;
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
    if (!this.hasNewer) {
      this.hasNewer = true;
      let version = this.findNewest();
      for (; version !== this.node; version = list.after(version)) {
        newer.push(version);
      }
    }
    const version = newer.pop();
    if (version === undefined) this.jump(this.beforeKey);
    else this.stand(version);
  }

  override passVersions(sequence: number): void {
    const { list, node } = this;
    this.jump(
      sequence === 0
        ? list.behindKey(node)
        : list.firstSeen(list.after(node), node, sequence),
    );
  }

  override riseTo(sequence: number): void {
    const { list, node } = this;
    const version = list.firstSeen(this.findNewest(), node, sequence);
    if (version === node) return;
    this.forgetNewer();
    this.stand(version);
  }

  override previousKey(): void {
    if (this.beforeKey < 0) this.findNewest();
    this.jump(this.beforeKey);
  }

  /** The newest version of the key; what is before it is known then. */
  private findNewest(): number {
    const { list } = this;
    const newest = list.findVersion(this.node, MAX_SEQUENCE);
    this.beforeKey = list.beforeVersion;
    return newest;
  }

  private jump(node: number): void {
    this.beforeKey = -1;
    this.forgetNewer();
    this.stand(node);
  }

  private forgetNewer(): void {
    if (!this.hasNewer) return;
    this.hasNewer = false;
    this.newer.length = 0;
  }

  private stand(node: number): void {
    this.node = node;
    if (node === 0) {
      this.valid = false;
      return;
    }
    const { list } = this;
    const keyStart = list.keyStart(node);
    const keyEnd = keyStart + list.keyLength(node);
    this.valid = true;
    this.keyStart = keyStart;
    this.keyEnd = keyEnd;
    this.sequence = list.sequenceOf(node);
    this.kind = list.kindOf(node);
    this.valueStart = keyEnd;
    this.valueEnd = keyEnd + list.valueLength(node);
  }
}
