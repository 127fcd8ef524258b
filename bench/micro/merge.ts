/**
 * Merging sorted sources, as scans and compactions do.
 *
 * @module
 */
import { MergingCursor } from "../../lib/read/merging_cursor.ts";
import { memtableOf } from "./memtable.ts";
import { bench, expect, group, THOUSAND } from "./suite.ts";

const PER_SOURCE = 1000;

/** Defines the benchmarks. */
export function defineMerge(): void {
  group("merge", () => {
    for (const sources of [1, 2, 4, 8]) {
      const tables = Array.from(
        { length: sources },
        (_, i) => memtableOf(PER_SOURCE, (j) => j * sources + i),
      );
      const merge = new MergingCursor(
        tables.map((table) => table.cursor()),
        false,
      );
      const advance = (steps: number) => {
        let walked = 0;
        for (let i = 0; i < steps; i++) {
          if (merge.top === undefined) merge.seekToFirst();
          else {
            merge.advance();
            walked++;
          }
        }
        return walked;
      };
      expect(advance(THOUSAND) === THOUSAND - 1, "steps of a merge");
      bench(`advance over ${sources} sources x1000`, () => advance(THOUSAND));
    }
  });
}
