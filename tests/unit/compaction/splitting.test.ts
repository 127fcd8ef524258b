/** Cuts: outputs share no key and no piece of a tombstone, nothing is lost, and none spans too much below. */
import { test } from "node:test";
import {
  outputsMax,
  SPAN_MAX,
  Splitter,
  UNCUT,
} from "../../../lib/compaction/splitting.ts";
import { bytesOf } from "../../../lib/compaction/strategy.ts";
import type { Fragment } from "../../../lib/memtable/range_tombstones.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { mayFollow } from "../../../lib/sstable/sorted_run.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertLessOrEqual,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { around, randomKey, smallKey } from "../support/keys.ts";
import { metaOf } from "../support/metas.ts";
import {
  assertFragmented,
  fragmentsOf,
  newestCovering,
  randomRange,
  rangesOf,
} from "../support/ranges.ts";

/** One output of a simulated merge. */
interface Output {
  readonly keys: string[];
  pieces: Fragment[];
}

const ENTRY = 10;

/** Lets keys, ascending, go by as a job does. */
function cutAll(splitter: Splitter, keys: readonly string[]): Output[] {
  const outputs: Output[] = [];
  let output: Output = { keys: [], pieces: [] };
  const end = (cut: Uint8Array | undefined) => {
    output.pieces = splitter.take(cut);
    if (output.keys.length + output.pieces.length > 0) outputs.push(output);
    output = { keys: [], pieces: [] };
  };
  for (const key of keys) {
    const bytes = toBytes(`<${key}>`);
    const size = () => output.keys.length * ENTRY;
    while (splitter.mayCut(size())) {
      const cut = splitter.cutBefore(bytes, 1, bytes.length - 1, size());
      if (cut === undefined) break;
      end(cut);
    }
    output.keys.push(key);
    splitter.added();
  }
  for (;;) {
    const cut = splitter.cutBefore(undefined, 0, 0, output.keys.length * ENTRY);
    if (cut === undefined) break;
    end(cut);
  }
  end(undefined);
  return outputs;
}

/** What the writer says of an output's bounds. */
function boundsOf({ keys, pieces }: Output): TableMeta {
  const starts = pieces.map(({ start }) => fromBytes(start));
  const ends = pieces.map(({ end }) => fromBytes(end));
  const unbounded = ends.includes("");
  return metaOf({
    rangeTombstones: pieces.length,
    smallest: toBytes([...keys, ...starts].sort()[0]),
    largest: toBytes(unbounded ? "" : [...keys, ...ends].sort().at(-1) ?? ""),
    unbounded,
  });
}

/** A run of tables, some of which touch. */
function randomRun(random: Random, key: () => string): TableMeta[] {
  const names = [...new Set(Array.from({ length: 60 }, key))].sort();
  const tables: TableMeta[] = [];
  for (let i = 0; i + 1 < names.length; i += random.pick([1, 1, 2])) {
    tables.push(metaOf({
      smallest: toBytes(names[i]),
      largest: toBytes(names[i + 1]),
      rangeTombstones: 1,
      size: 20 + random.below(60),
    }));
  }
  const last = tables.pop();
  if (last === undefined) return [];
  const isOpen = random.chance(30);
  tables.push(isOpen ? { ...last, unbounded: true } : last);
  return tables;
}

test(
  "outputs share nothing, lose nothing, and span a bounded part of the level below",
  LONG,
  () => {
    let cuts = 0;
    let widest = 0;
    for (let seed = 1; seed <= 400; seed++) {
      const random = new Random(seed);
      const name = random.chance(50) ? smallKey : randomKey;
      const key = () => name(random);
      const count = random.pick([0, 3, 60]);
      const keys = [...new Set(Array.from({ length: count }, key))].sort();
      const ranges = Array.from(
        { length: random.pick([0, 1, 5, 30]) },
        (_, i) => randomRange(random, key, i + 1),
      );
      const fragments = fragmentsOf(ranges);
      const grandparents = random.chance(70) ? randomRun(random, key) : [];
      const outputSize = random.pick([20, 55, Infinity]);
      const cutting = { outputSize, grandparents };
      const outputs = cutAll(new Splitter(cutting, fragments), keys);
      const message = `seed ${seed}`;
      assertEquals(outputs.flatMap((output) => output.keys), keys, message);
      const pieces = outputs.flatMap((output) => output.pieces);
      assertFragmented(pieces, message);
      const cutRanges = rangesOf(pieces);
      const probes = [
        ...keys,
        ...ranges.flatMap(({ start, end }) => [start, end]),
      ];
      for (const probe of around(probes.slice(0, 15))) {
        for (const reader of [3, 15, 99]) {
          assertEquals(
            newestCovering(cutRanges, probe, reader),
            newestCovering(ranges, probe, reader),
            `${message}, ${probe}`,
          );
        }
      }
      const bounds = outputs.map(boundsOf);
      bounds.forEach((meta, i) => {
        if (i === 0) return;
        assert(mayFollow(bounds[i - 1], meta), `${message}: overlap at ${i}`);
      });
      assertLessOrEqual(
        outputs.length,
        outputsMax(keys.length * ENTRY, cutting),
        message,
      );
      for (const { keys } of outputs) {
        assertLessOrEqual((keys.length - 1) * ENTRY, outputSize, message);
      }
      if (outputSize === Infinity) {
        assertLessOrEqual(outputs.length, 1, message);
        continue;
      }
      for (const { smallest, largest, unbounded } of bounds) {
        const wholly = grandparents.filter((table) =>
          fromBytes(table.smallest) >= fromBytes(smallest) &&
          (unbounded || !table.unbounded &&
              fromBytes(table.largest) < fromBytes(largest))
        );
        const spanned = bytesOf(wholly);
        widest = Math.max(widest, spanned / outputSize);
        assertLessOrEqual(
          spanned,
          SPAN_MAX * outputSize + 2 * 80,
          `${message}: too wide`,
        );
      }
      cuts += outputs.length - 1;
    }
    assertGreater(cuts, 1000);
    assertGreater(widest, SPAN_MAX - 1);
  },
);

test("a range tombstone alone is cut by what it spans, also where the tables below touch", () => {
  const grandparents = Array.from({ length: 100 }, (_, i) => {
    const name = (n: number) => toBytes(String(n).padStart(3, "0"));
    return metaOf({
      smallest: name(i),
      largest: name(i + 1),
      rangeTombstones: 1,
      size: 100,
    });
  });
  const fragments = fragmentsOf([{ start: "0", end: "", sequence: 9 }]);
  const cutting = { outputSize: 100, grandparents };
  const outputs = cutAll(new Splitter(cutting, fragments), []);
  assertGreater(outputs.length, 8);
  assertLess(outputs.length, 11);
  outputs.forEach(({ pieces }, i) => {
    assertEquals(pieces.length, 1);
    const next = outputs[i + 1]?.pieces[0].start ?? toBytes("");
    assertEquals(pieces[0].end, next);
    assertEquals(pieces[0].sequences, [9]);
  });
});

test("without cuts there is one output, whatever it spans", () => {
  const fragments = fragmentsOf([{ start: "b", end: "x", sequence: 9 }]);
  const splitter = new Splitter(UNCUT, fragments);
  const outputs = cutAll(splitter, ["a", "c", "z"]);
  assertEquals(outputs, [{ keys: ["a", "c", "z"], pieces: [...fragments] }]);
  assertEquals(outputsMax(1e12, UNCUT), 1);
});

test("an output ends before the first key past its size, and takes the tombstones up to there", () => {
  const fragments = fragmentsOf([{ start: "b", end: "d", sequence: 9 }]);
  const splitter = new Splitter(
    { outputSize: 20, grandparents: [] },
    fragments,
  );
  const outputs = cutAll(splitter, ["a", "b", "c", "e", "f"]);
  assertEquals(outputs.map(({ keys }) => keys.join("")), ["ab", "ce", "f"]);
  assertEquals(outputs.map(({ pieces }) => rangesOf(pieces)), [
    [{ start: "b", end: "c", sequence: 9 }],
    [{ start: "c", end: "d", sequence: 9 }],
    [],
  ]);
});
