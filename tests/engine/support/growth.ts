/**
 * How time grows with work, on machines that do other things, too.
 *
 * @module
 */
import { fail } from "../../assert.ts";

/**
 * Fails unless more work takes less than `factor` times what less work takes.
 * A busy machine may spoil a measurement, but not each of five.
 */
export async function assertGrowsLess(
  factor: number,
  time: (count: number) => Promise<number>,
  few: number,
  many: number,
): Promise<void> {
  const seen: string[] = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    const less = await time(few);
    const more = await time(many);
    if (more < factor * less) return;
    seen.push(`${less} ms, then ${more} ms`);
  }
  fail(seen.join("; "));
}
