/**
 * Counts the views of arrays that are made: garbage, where one is made for
 * each entry.
 *
 * @module
 */

/** How many times `subarray` is called while something is done. */
export async function viewsOf(work: () => unknown): Promise<number> {
  const arrays = Object.getPrototypeOf(Uint8Array.prototype);
  const { subarray } = arrays;
  let count = 0;
  arrays.subarray = function (...bounds: unknown[]) {
    count++;
    return subarray.apply(this, bounds);
  };
  try {
    await work();
  } finally {
    arrays.subarray = subarray;
  }
  return count;
}
