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

/** Collects the hashes of a table's keys and builds the filter. */
export class FilterBuilder {
  private readonly bitsPerKey: number;
  private lines: Uint32Array;
  private bits: Int32Array;
  private count = 0;

  /** A filter of `bitsPerKey` bits for each key; 0 for none. */
  constructor(bitsPerKey: number) {
    this.bitsPerKey = bitsPerKey;
    const room = bitsPerKey === 0 ? 0 : 1024;
    this.lines = new Uint32Array(room);
    this.bits = new Int32Array(room);
  }

  /** Adds a key by the two lanes of its hash. Keys come once each. */
  add(line: number, bits: number): void {
    if (this.bitsPerKey === 0) return;
    if (this.count === this.lines.length) this.grow();
    this.lines[this.count] = line;
    this.bits[this.count++] = bits;
  }

  private grow(): void {
    const lines = new Uint32Array(this.count * 2);
    const bits = new Int32Array(this.count * 2);
    lines.set(this.lines);
    bits.set(this.bits);
    this.lines = lines;
    this.bits = bits;
  }

  /** The filter's bytes; `undefined` if there is none to write. */
  finish(): Uint8Array | undefined {
    if (this.count === 0) return undefined;
    const lineCount = Math.ceil(this.count * this.bitsPerKey / 512);
    const probes = Math.max(
      1,
      Math.min(16, Math.round(this.bitsPerKey * 0.69)),
    );
    const filter = new Uint8Array(1 + lineCount * LINE_LENGTH);
    filter[0] = probes;
    for (let i = 0; i < this.count; i++) {
      const start = 1 + lineOf(this.lines[i], lineCount) * LINE_LENGTH;
      let bits = this.bits[i];
      for (let probe = 0; probe < probes; probe++) {
        const bit = bits >>> 23;
        filter[start + (bit >>> 3)] |= 1 << (bit & 7);
        bits = Math.imul(bits, STEP);
      }
    }
    return filter;
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
