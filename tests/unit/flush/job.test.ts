/** The flush: a memtable becomes a table, and no reader sees a difference. */
import { test } from "node:test";
import type { JobOutput } from "../../../lib/compaction/job.ts";
import { makeFlushJob } from "../../../lib/flush/job.ts";
import type { Memtable } from "../../../lib/memtable/memtable.ts";
import { assertEquals } from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { put } from "../support/entries.ts";
import { randomKey, smallKey } from "../support/keys.ts";
import {
  allEntries,
  type Layer,
  randomLayers,
  visibleRows,
} from "../support/layers.ts";
import { memtableOf } from "../support/memtables.ts";
import { runJob } from "../support/mini_tree.ts";
import {
  DIRECTORY,
  layerOf,
  newFiles,
  openTable,
  tablePath,
} from "../support/tables.ts";

function flush(memtable: Memtable, snapshots: readonly number[]): Layer {
  const files = newFiles();
  const output: JobOutput = {
    files,
    directory: DIRECTORY,
    firstNumber: 3,
    count: 1,
    blockSize: 256,
    bloomBitsPerKey: 10,
    compression: "none",
    created: 0,
  };
  const tables = runJob(makeFlushJob(memtable, snapshots, output));
  assertEquals(tables.length, 1);
  const [meta] = tables;
  const table = openTable({ files, path: tablePath(3), meta });
  table.verify();
  return layerOf(table);
}

test(
  "what readers see of a memtable they see of its table, older layers under it included",
  LONG,
  () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = new Random(seed);
      const operations = 20 + random.below(150);
      const [older, newer] = randomLayers(random, {
        operations,
        layers: 2,
        key: random.chance(50) ? smallKey : randomKey,
        rangePercent: random.pick([0, 10, 40]),
        isInOrder: true,
      });
      const snapshots = [...new Set([0, 1].map(() => random.below(operations)))]
        .slice(random.below(3)).sort((a, b) => a - b);
      const flushed = flush(memtableOf(newer), snapshots);
      for (const reader of [...snapshots, operations]) {
        assertEquals(
          visibleRows([older, flushed], reader),
          visibleRows([older, newer], reader),
          `seed ${seed}, snapshots ${snapshots}, reader ${reader}`,
        );
      }
    }
  },
);

test("versions that no snapshot tells apart are left out", () => {
  const entries = Array.from({ length: 50 }, (_, i) => put("k", i + 1, `${i}`));
  const memtable = memtableOf({ entries, ranges: [] });
  const sequences = (snapshots: number[]) =>
    flush(memtable, snapshots).entries.map(({ sequence }) => sequence);
  assertEquals(sequences([]), [50]);
  assertEquals(sequences([10, 20]), [50, 20, 10]);
});

test("a memtable can be flushed again, with the same result", () => {
  const random = new Random(1);
  const [layer] = randomLayers(random, {
    operations: 100,
    layers: 1,
    key: smallKey,
    rangePercent: 10,
    isInOrder: true,
  });
  const memtable = memtableOf(layer);
  assertEquals(flush(memtable, [50]), flush(memtable, [50]));
  assertEquals(allEntries([layer]).length, memtable.entries);
});
