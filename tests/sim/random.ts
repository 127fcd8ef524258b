/**
 * The one source of chance in a simulation.
 *
 * Invariants:
 * - A seed and a name give the same numbers on every runtime.
 * - Streams are independent of each other: a draw added to one changes no
 *   other, so that a seed stays the same run while the simulator grows.
 *
 * @module
 */

/** What decides. */
export interface Dice {
  /** A whole number from 0 to below `bound`. */
  below(bound: number): number;
}

/** Mixes 32 bits, so that neighbours have nothing in common (the finalizer of MurmurHash3). */
function mix(bits: number): number {
  let mixed = bits | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** FNV-1a over the characters of a text. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}

/** Dice from a seed: mulberry32. */
export class SeededDice implements Dice {
  readonly #seed: number;
  #state: number;

  constructor(seed: number) {
    // All 53 bits of a number count.
    this.#seed = mix(mix(seed >>> 0) ^ mix(Math.floor(seed / 2 ** 32) + 1));
    this.#state = this.#seed;
  }

  /** Dice of their own, which depend on the seed and the name alone. */
  stream(name: string, index = 0): SeededDice {
    return new SeededDice(
      mix(this.#seed ^ mix(hashText(name))) ^ mix(index + 0x9e3779b9),
    );
  }

  /** 32 random bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let bits = this.#state;
    bits = Math.imul(bits ^ (bits >>> 15), bits | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return (bits ^ (bits >>> 14)) >>> 0;
  }

  below(bound: number): number {
    return this.next() % bound;
  }

  /** True with a probability of 0 to 1. */
  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32;
  }

  /** One of the choices. */
  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)];
  }

  /** The place of one of the weights, drawn as often as it weighs. */
  weighted(weights: readonly number[]): number {
    let left = this.next() / 2 ** 32 *
      weights.reduce((sum, weight) => sum + weight, 0);
    for (let i = 0; i < weights.length; i++) {
      left -= weights[i];
      if (left < 0) return i;
    }
    return weights.length - 1;
  }
}
