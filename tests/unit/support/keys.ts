/**
 * Random keys that are hard on an ordered store: empty ones, ones that begin
 * with others, zero bytes where padding might hide them, and long ones.
 *
 * @module
 */
import type { Random } from "../../engine/support/random.ts";

/** The longest key that the engine takes. */
export const LONGEST_KEY = 64 * 1024;

const ALPHABET = ["\0", "\x01", "a", "b", "\x7f", "\x80", "\xff"];

function word(random: Random, length: number): string {
  let key = "";
  for (let i = 0; i < length; i++) key += random.pick(ALPHABET);
  return key;
}

/** A key of a small world, so that the same one comes again. */
export function smallKey(random: Random): string {
  return word(random, random.below(4));
}

/** A key of any kind, up to some dozens of bytes. */
export function randomKey(random: Random): string {
  switch (random.below(5)) {
    case 0:
      return smallKey(random);
    case 1: // Decided around the eighth byte, where the first words end.
      return "1234567".slice(0, random.below(8)) + word(random, 4);
    case 2: // Decided behind a long shared prefix.
      return `users/by-name/0000000${random.below(300)}`;
    case 3:
      return word(random, random.below(40));
    default:
      return `k${String(random.below(1000)).padStart(4, "0")}`;
  }
}

/** A key of the greatest length; all begin alike. */
export function longestKey(random: Random): string {
  return "x".repeat(LONGEST_KEY - 4) + word(random, 4);
}

/** The key of a number: keys are in the order of their numbers. */
export function keyOf(number: number): string {
  return `k${String(number).padStart(5, "0")}`;
}

/** Keys around others: themselves, just before and just after them. */
export function around(keys: Iterable<string>): string[] {
  const probes = new Set<string>(["", "\xff\xff\xff\xff\xff"]);
  for (const key of keys) {
    probes.add(key);
    probes.add(`${key}\0`);
    probes.add(`${key}\xff`);
    if (key === "") continue;
    probes.add(key.slice(0, -1));
    const last = key.charCodeAt(key.length - 1);
    if (last > 0) {
      probes.add(`${key.slice(0, -1)}${String.fromCharCode(last - 1)}\xff`);
    }
  }
  return [...probes];
}
