/**
 * Values grow, with as many bytes of data; and keys grow, with as many entries.
 *
 * @module
 */
import { KEY_BYTES, VALUE_BYTES } from "../data.ts";
import type { Bench } from "../measure.ts";
import { entryBytes, type Shape, shapeOf } from "../shape.ts";
import { openVarve } from "../stores/varve.ts";
import { everything } from "../workloads.ts";
import { type GrowthScenario, measureFill, Reads, shareOf } from "./parts.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

const VALUE_SIZES = [16, 100, KIB, 16 * KIB, 128 * KIB, MIB];
const DATA_BYTES = 64 * MIB;
/** Lookups read so many bytes, within bounds. */
const READ_BYTES = 256 * MIB;
const READS_MIN = 256;
const READS_MAX = 200_000;

const KEY_SIZES = [8, 16, 64, 256];
const KEY_ENTRIES = 200_000;

/** A rate is reported a second time, in bytes of keys and values. */
function alsoInBytes(bench: Bench, shape: Shape): Bench {
  const megabytes = entryBytes(shape) / 1e6;
  return {
    ...bench,
    report(measurement) {
      bench.report(measurement);
      bench.report({
        name: `${measurement.name}, bytes`,
        unit: "MB/s",
        figure: measurement.figure * megabytes,
        count: measurement.count,
      });
    },
  };
}

async function fill(bench: Bench, shape: Shape, count: number): Promise<void> {
  const store = await openVarve(bench.directory);
  await measureFill(bench, store, count, shape);
  await store.close();
}

const valuesCount = (bench: Bench, shape: Shape): number =>
  shareOf(bench, Math.floor(DATA_BYTES / entryBytes(shape)));

async function fillValues(bench: Bench): Promise<void> {
  const shape = shapeOf(KEY_BYTES, bench.size);
  await fill(alsoInBytes(bench, shape), shape, valuesCount(bench, shape));
}

async function readValues(bench: Bench): Promise<void> {
  const shape = shapeOf(KEY_BYTES, bench.size);
  const contents = everything(valuesCount(bench, shape));
  const store = await openVarve(bench.directory);
  const reads = new Reads(alsoInBytes(bench, shape), store, contents, {
    shape,
  });
  const room = Math.floor(READ_BYTES / bench.size);
  await reads.random(Math.min(READS_MAX, Math.max(READS_MIN, room)));
  await reads.all();
  await store.close();
}

async function fillKeys(bench: Bench): Promise<void> {
  const shape = shapeOf(bench.size, VALUE_BYTES);
  await fill(bench, shape, shareOf(bench, KEY_ENTRIES));
}

async function readKeys(bench: Bench): Promise<void> {
  const shape = shapeOf(bench.size, VALUE_BYTES);
  const contents = everything(shareOf(bench, KEY_ENTRIES));
  const store = await openVarve(bench.directory);
  const reads = new Reads(bench, store, contents, { shape });
  await reads.random();
  await reads.seeks();
  await store.close();
}

/** Both families. */
export const SHAPES: readonly GrowthScenario[] = [
  {
    name: "growth of values",
    family: "values",
    series: "64 MiB",
    grows: "value bytes",
    sizes: VALUE_SIZES,
    measures: [],
    steps: [fillValues, readValues],
  },
  {
    name: "growth of keys",
    family: "keys",
    series: "200,000 entries",
    grows: "key bytes",
    sizes: KEY_SIZES,
    measures: [],
    steps: [fillKeys, readKeys],
  },
];
