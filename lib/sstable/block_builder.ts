/**
 * Builds one block: see format.ts for its bytes.
 *
 * Entries gather with their whole keys; what all keys share is known only
 * when the last one is there (in sorted order the first and the last key
 * share what all of them do), and is left out then, with one copy per entry.
 *
 * @module
 */
import {
  copyInto,
  copyViewed,
  sharedPrefixLength,
  viewOf,
} from "../encoding/bytes.ts";
import { putU16, putU32 } from "../encoding/fixed.ts";
import { MAX_VARINT_LENGTH, putVarint } from "../encoding/varint.ts";
import { FINGERPRINTED, FINGERPRINTS_MAX, WIDE_OFFSETS } from "./format.ts";

/** Bytes of whole entries that there is room for at first. */
const RAW_LENGTH = 16 * 1024;
/** Room for more than so many is not kept. */
const KEPT_RAW_LENGTH = 1024 * 1024;
/** Places in it are integers of 32 bits. */
const RAW_LENGTH_MOST = 2 ** 31 - 1;

/** Gathers entries and writes them as a block. */
export class BlockBuilder {
  private raw = new Uint8Array(RAW_LENGTH);
  private view = viewOf(this.raw);
  private length = 0;
  /** For each entry: where its key starts in `raw`. */
  private starts = new Int32Array(64);
  private keyLengths = new Int32Array(64);
  private fingerprints = new Uint8Array(64);
  private readonly hasFingerprints: boolean;
  /** Entries gathered. */
  count = 0;

  /** A builder of blocks in which keys are looked up by fingerprint, too, or not. */
  constructor(hasFingerprints: boolean) {
    this.hasFingerprints = hasFingerprints;
  }

  /** Bytes that the block takes at most, its prefix not left out. */
  get size(): number {
    return this.length + this.count * 8 + MAX_VARINT_LENGTH + 4;
  }

  /** Bytes that leaving out the shared prefix saves. */
  saving(): number {
    return this.count === 0 ? 0 : this.prefixLength() * (this.count - 1);
  }

  /**
   * Adds an entry. Entries come sorted.
   *
   * @param keyView The memory of `key`, all of it, if that is at hand.
   * @param valueView That of `value`.
   */
  add(
    key: Uint8Array,
    keyStart: number,
    keyEnd: number,
    tag: number,
    sequence: number,
    value: Uint8Array,
    valueStart: number,
    valueEnd: number,
    fingerprint: number,
    keyView?: DataView,
    valueView?: DataView,
  ): void {
    const keyLength = keyEnd - keyStart;
    const needed = this.length + keyLength + (valueEnd - valueStart) +
      2 * MAX_VARINT_LENGTH;
    if (needed > this.raw.length) this.growRaw(needed);
    if (this.count === this.starts.length) this.growEntries();
    this.starts[this.count] = this.length;
    this.fingerprints[this.count] = fingerprint;
    this.keyLengths[this.count++] = keyLength;
    const { raw, view, length } = this;
    let at = copyViewed(raw, view, length, key, keyView, keyStart, keyEnd);
    at = putVarint(raw, at, tag);
    at = putVarint(raw, at, sequence);
    this.length = copyViewed(
      raw,
      view,
      at,
      value,
      valueView,
      valueStart,
      valueEnd,
    );
  }

  private growRaw(needed: number): void {
    if (needed > RAW_LENGTH_MOST) {
      throw new Error(`a block would have ${needed} bytes of entries`);
    }
    const { raw, length } = this;
    const doubled = Math.min(raw.length * 2, RAW_LENGTH_MOST);
    this.setRaw(Math.max(needed, doubled));
    this.raw.set(raw.subarray(0, length));
  }

  private setRaw(length: number): void {
    this.raw = new Uint8Array(length);
    this.view = viewOf(this.raw);
  }

  private growEntries(): void {
    const starts = new Int32Array(this.count * 2);
    const keyLengths = new Int32Array(this.count * 2);
    const fingerprints = new Uint8Array(this.count * 2);
    starts.set(this.starts);
    keyLengths.set(this.keyLengths);
    fingerprints.set(this.fingerprints);
    this.starts = starts;
    this.keyLengths = keyLengths;
    this.fingerprints = fingerprints;
  }

  private prefixLength(): number {
    const raw = this.raw;
    const last = this.starts[this.count - 1];
    return sharedPrefixLength(
      raw,
      0,
      this.keyLengths[0],
      raw,
      last,
      last + this.keyLengths[this.count - 1],
    );
  }

  /**
   * Writes the block at `into[at...]`, where there are {@linkcode size}
   * bytes, and forgets the entries.
   *
   * @param intoView The memory of `into`, all of it; made if it is not given.
   * @returns The position after the block.
   */
  finish(
    into: Uint8Array,
    at: number,
    intoView: DataView = viewOf(into),
  ): number {
    const blockStart = at;
    const { raw, view } = this;
    const prefix = this.count === 0 ? 0 : this.prefixLength();
    at = putVarint(into, at, prefix);
    at = copyInto(into, at, raw, 0, prefix);
    const offsets = this.starts;
    for (let i = 0; i < this.count; i++) {
      const start = offsets[i] + prefix;
      const end = i + 1 < this.count ? offsets[i + 1] : this.length;
      offsets[i] = at - blockStart;
      at = putVarint(into, at, this.keyLengths[i] - prefix);
      at = copyViewed(into, intoView, at, raw, view, start, end);
    }
    const wide = at - blockStart > 0xffff;
    const marked = this.hasFingerprints && this.count <= FINGERPRINTS_MAX;
    if (marked) at = copyInto(into, at, this.fingerprints, 0, this.count);
    for (let i = 0; i < this.count; i++) {
      if (wide) putU32(into, at, offsets[i]);
      else putU16(into, at, offsets[i]);
      at += wide ? 4 : 2;
    }
    putU32(
      into,
      at,
      this.count + (wide ? WIDE_OFFSETS : 0) + (marked ? FINGERPRINTED : 0),
    );
    this.forget();
    return at + 4;
  }

  private forget(): void {
    this.count = 0;
    this.length = 0;
    if (this.raw.length > KEPT_RAW_LENGTH) this.setRaw(RAW_LENGTH);
  }
}
