/**
 * Dice for tests that want every outcome, and not a likely one.
 *
 * @module
 */
import type { Dice } from "./random.ts";

/**
 * Calls `body` once for each way in which its dice can fall.
 *
 * @returns How many there were.
 */
export function eachRoll(body: (dice: Dice) => void): number {
  let rolls: number[] = [];
  for (let count = 1;; count++) {
    const bounds: number[] = [];
    body({
      below(bound: number): number {
        const at = bounds.length;
        if (at === rolls.length) rolls.push(0);
        bounds.push(bound);
        return rolls[at] ?? 0;
      },
    });
    // The last of the dice that can be turned on is, those after it are thrown anew.
    let last = bounds.length - 1;
    while (last >= 0 && (rolls[last] ?? 0) + 1 >= (bounds[last] ?? 0)) last--;
    if (last < 0) return count;
    rolls = rolls.slice(0, last + 1);
    rolls[last] = (rolls[last] ?? 0) + 1;
  }
}

/** Every outcome of `body`, as texts, sorted, each once. */
export function everyOutcome(body: (dice: Dice) => string): string[] {
  const outcomes = new Set<string>();
  eachRoll((dice) => outcomes.add(body(dice)));
  return [...outcomes].sort();
}
