/**
 * Generators of pseudo-random numbers: the one of the reference engines'
 * stress tests, and a faster one for everything else.
 *
 * @module
 */

const MASK = (1n << 64n) - 1n;

/** The 64-bit linear congruential generator of the reference stress tests. */
export class Lcg {
  #state: bigint;

  constructor(seed: number) {
    this.#state = BigInt(seed);
  }

  /** The whole state, as the next number. */
  next(): bigint {
    this.#state = (this.#state * 6364136223846793005n + 1442695040888963407n) &
      MASK;
    return this.#state;
  }

  /** A number in [0, bound). */
  below(bound: number): number {
    return Number(this.next() % BigInt(bound));
  }
}

/** mulberry32: 32 bits of state, quick. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number in [0, bound). */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  }

  /** True `percent` times in a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  /** One of the choices. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }
}
