/**
 * A blocked Bloom filter over the user keys of a table.
 *
 * Source: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom
 * Filters", WEA 2007. All probes of a key fall into one line of 64 bytes, so
 * that a lookup costs one cache miss. The first hash lane picks the line, the
 * second gives the probes: multiplied by an odd constant each time, its top
 * nine bits are a bit of the line (as RocksDB's FastLocalBloom does).
 *
 * No false negatives, ever: a filter only says "absent" or "maybe".
 *
 * @module
 */

const LINE_LENGTH = 64;
const STEP = 0x9e3779b9;

/** Up to this many keys their hashes are kept until their number is known. */
const COUNTED_KEYS_MAX = 1024 * 1024;
/** A filter that is made at once can be halved so many times. */
const HALVINGS = 6;

/** Builds the filter of a table's keys. */
export interface FilterBuilder {
  /** Adds a key by the two lanes of its hash. Keys come once each. */
  add(line: number, bits: number): void;
  /** The filter's bytes; `undefined` if there is none to write. */
  finish(): Uint8Array | undefined;
}

/**
 * A builder of filters of `bitsPerKey` bits for each key; 0 for none.
 *
 * @param keysMax There will be no more keys; Infinity if that is not known.
 */
export function filterBuilder(
  bitsPerKey: number,
  keysMax: number,
): FilterBuilder {
  return keysMax > COUNTED_KEYS_MAX && keysMax < Infinity && bitsPerKey > 0
    ? new LargeFilterBuilder(bitsPerKey, keysMax)
    : new ExactFilterBuilder(bitsPerKey);
}

/** A filter with no key in it: how often a key is probed, and the lines. */
function emptyFilter(bitsPerKey: number, lines: number): Uint8Array {
  const filter = new Uint8Array(1 + lines * LINE_LENGTH);
  filter[0] = Math.max(1, Math.min(16, Math.round(bitsPerKey * 0.69)));
  return filter;
}

function addTo(
  filter: Uint8Array,
  lines: number,
  line: number,
  bits: number,
): void {
  const start = 1 + lineOf(line, lines) * LINE_LENGTH;
  for (let probe = filter[0]; probe > 0; probe--) {
    const bit = bits >>> 23;
    filter[start + (bit >>> 3)] |= 1 << (bit & 7);
    bits = Math.imul(bits, STEP);
  }
}

/** Both lanes of hashes. */
interface Hashes {
  readonly lines: Uint32Array;
  readonly bits: Int32Array;
}

function newHashes(room: number): Hashes {
  return { lines: new Uint32Array(room), bits: new Int32Array(room) };
}

/**
 * What a builder has used, for the next one of this thread. A merge that wrote
 * many tables left 16 MiB for each to JSC's collector, which did not come for a
 * quarter of a GiB.
 */
let spareHashes: Hashes | undefined;

function takeHashes(): Hashes {
  const hashes = spareHashes ?? newHashes(1024);
  spareHashes = undefined;
  return hashes;
}

const NO_HASHES = newHashes(0);

/** Collects hashes and then builds a filter of just the right size. */
class ExactFilterBuilder implements FilterBuilder {
  private readonly bitsPerKey: number;
  private lines: Uint32Array;
  private bits: Int32Array;
  private count = 0;

  constructor(bitsPerKey: number) {
    this.bitsPerKey = bitsPerKey;
    const { lines, bits } = bitsPerKey === 0 ? NO_HASHES : takeHashes();
    this.lines = lines;
    this.bits = bits;
  }

  add(line: number, bits: number): void {
    if (this.bitsPerKey === 0) return;
    if (this.count === this.lines.length) this.grow();
    this.lines[this.count] = line;
    this.bits[this.count++] = bits;
  }

  private grow(): void {
    const { lines, bits } = newHashes(this.count * 2);
    lines.set(this.lines);
    bits.set(this.bits);
    this.lines = lines;
    this.bits = bits;
  }

  finish(): Uint8Array | undefined {
    if (this.count === 0) return undefined;
    const lines = Math.ceil(this.count * this.bitsPerKey / 512);
    const filter = emptyFilter(this.bitsPerKey, lines);
    for (let i = 0; i < this.count; i++) {
      addTo(filter, lines, this.lines[i], this.bits[i]);
    }
    this.leaveHashes();
    return filter;
  }

  private leaveHashes(): void {
    const { lines, bits } = this;
    if (lines.length <= COUNTED_KEYS_MAX) spareHashes = { lines, bits };
    this.lines = NO_HASHES.lines;
    this.bits = NO_HASHES.bits;
  }
}

/**
 * Builds a filter for as many keys as there may be, and halves it if there
 * were far fewer: the hashes of many keys would take more memory than the
 * filter.
 *
 * Halving puts each line on its neighbour: the line of a hash among half as
 * many lines is half the number of its line.
 */
class LargeFilterBuilder implements FilterBuilder {
  private readonly bitsPerKey: number;
  private readonly filter: Uint8Array;
  private lines: number;
  private count = 0;

  constructor(bitsPerKey: number, keysMax: number) {
    this.bitsPerKey = bitsPerKey;
    const unit = 2 ** HALVINGS;
    this.lines = Math.ceil(keysMax * bitsPerKey / 512 / unit) * unit;
    this.filter = emptyFilter(bitsPerKey, this.lines);
  }

  add(line: number, bits: number): void {
    this.count++;
    addTo(this.filter, this.lines, line, bits);
  }

  finish(): Uint8Array | undefined {
    if (this.count === 0) return undefined;
    const needed = this.count * this.bitsPerKey / 512;
    for (let i = 0; i < HALVINGS && this.lines / 2 >= needed; i++) this.halve();
    return this.filter.subarray(0, 1 + this.lines * LINE_LENGTH);
  }

  private halve(): void {
    const { filter } = this;
    this.lines /= 2;
    const end = 1 + this.lines * LINE_LENGTH;
    for (let to = 1, from = 1; to < end; from += LINE_LENGTH) {
      for (let i = 0; i < LINE_LENGTH; i++, to++, from++) {
        filter[to] = filter[from] | filter[from + LINE_LENGTH];
      }
    }
  }
}

function lineOf(hash: number, lineCount: number): number {
  return Math.floor(hash * lineCount / 0x1_0000_0000);
}

/** Whether a filter's bytes can be one. */
export function isFilter(filter: Uint8Array): boolean {
  return filter.length > LINE_LENGTH &&
    (filter.length - 1) % LINE_LENGTH === 0 &&
    filter[0] >= 1 && filter[0] <= 16;
}

/** Whether the key with these hash lanes may be in the table. */
export function mayContain(
  filter: Uint8Array,
  line: number,
  bits: number,
): boolean {
  const start = 1 +
    lineOf(line, (filter.length - 1) / LINE_LENGTH) * LINE_LENGTH;
  for (let probe = filter[0]; probe > 0; probe--) {
    const bit = bits >>> 23;
    if ((filter[start + (bit >>> 3)] & (1 << (bit & 7))) === 0) return false;
    bits = Math.imul(bits, STEP);
  }
  return true;
}
