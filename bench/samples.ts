/**
 * Samples of times, kept without allocation while they are taken.
 *
 * @module
 */

/** What was found of one kind of time, in milliseconds. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Times in milliseconds; past its room it keeps the worst and a fair choice of the rest. */
export class Samples {
  readonly #values: Float32Array;
  #taken = 0;
  #max = 0;
  #state = 1;

  /** Room for as many samples as are expected. */
  constructor(room: number) {
    this.#values = new Float32Array(room).fill(0); // Touched: no page fault later.
  }

  /** Takes one sample. */
  add(milliseconds: number): void {
    const taken = this.#taken++;
    if (milliseconds > this.#max) this.#max = milliseconds;
    if (taken < this.#values.length) {
      this.#values[taken] = milliseconds;
      return;
    }
    // Reservoir sampling (Vitter's algorithm R), so that a long run is not cut off.
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) | 0;
    const slot = Math.floor((this.#state >>> 0) / 4294967296 * (taken + 1));
    if (slot < this.#values.length) this.#values[slot] = milliseconds;
  }

  /** The percentiles, by nearest rank. */
  percentiles(): Percentiles {
    return percentilesOf(
      this.#values.slice(0, Math.min(this.#taken, this.#values.length)),
      this.#taken,
      this.#max,
    );
  }

  /**
   * The percentiles as somebody would find them who comes at any moment: while
   * a sample that should have taken `interval` took longer, further ones would
   * have waited too (the correction of Gil Tene's HdrHistogram).
   */
  percentilesAtAnyMoment(interval: number): Percentiles {
    const kept = Math.min(this.#taken, this.#values.length);
    const all: number[] = [];
    for (let i = 0; i < kept; i++) {
      for (let wait = this.#values[i] ?? 0;;) {
        all.push(wait);
        wait -= interval;
        if (wait <= 0) break;
      }
    }
    return percentilesOf(Float32Array.from(all), all.length, this.#max);
  }
}

function percentilesOf(
  values: Float32Array,
  count: number,
  max: number,
): Percentiles {
  values.sort();
  const at = (share: number) =>
    values[Math.max(0, Math.ceil(values.length * share) - 1)] ?? NaN;
  return { count, p50: at(0.5), p99: at(0.99), p999: at(0.999), max };
}
