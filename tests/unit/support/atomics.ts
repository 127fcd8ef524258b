/**
 * One thread in the place of two: what another does between two atomic
 * operations of this one, and what is left of one that dies between them.
 *
 * @module
 */

/** The operations that are counted. */
const NAMES = [
  "add",
  "and",
  "compareExchange",
  "exchange",
  "load",
  "or",
  "store",
  "sub",
] as const;

/** Calls `before` ahead of each atomic operation of `use`. */
function watched(before: () => void, use: () => void): void {
  const originals = NAMES.map((name) => [name, Atomics[name]] as const);
  for (const [name, original] of originals) {
    Object.assign(Atomics, {
      // Whatever its arguments are, they are the original's.
      [name]: (...all: never[]) => {
        before();
        return (original as (...all: never[]) => unknown)(...all);
      },
    });
  }
  try {
    use();
  } finally {
    Object.assign(Atomics, Object.fromEntries(originals));
  }
}

/**
 * Calls `then` ahead of the `nth` atomic operation of `use`, of those for which
 * `counts` says so; returns whether there were so many.
 */
export function interrupted(
  nth: number,
  then: () => void,
  use: () => void,
  counts: () => boolean = () => true,
): boolean {
  let left = nth;
  watched(() => {
    if (left > 0 && counts() && --left === 0) then();
  }, use);
  return left === 0;
}

/** Ends `use`, as if its thread died, ahead of its `nth` atomic operation: nothing that it cleans up with is done. Returns whether there were so many. */
export function died(nth: number, use: () => void): boolean {
  const death = new Error("died");
  let left = nth;
  try {
    watched(() => {
      if (--left <= 0) throw death;
    }, use);
  } catch (error) {
    if (error !== death) throw error;
  }
  return left <= 0;
}
