/**
 * What compression saves and costs: documents of JSON with it and without.
 *
 * ```text
 * deno run -A bench/compression.ts [--entries 500000] [--rounds 3]
 * ```
 *
 * Also under `bun` and `node`. For each way a database is filled in random
 * order, brought to rest, merged into one run, and read with a small block
 * cache, so that most blocks are unpacked: by scans and lookups, with all files
 * in the page cache, and, where the machine lets itself be told to empty that,
 * without. Ways take turns; the figures are medians.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Db, open, type Options } from "../mod.ts";
import { Random, shuffled } from "./data.ts";
import { directoryBytes, dropPageCache, median } from "./machine.ts";

const CACHE_BYTES = 8 * 1024 * 1024;
const LOOKUPS = 50_000;
const COLD_LOOKUPS = 5_000;
const CHECKED = 1000;
const WINDOW = 500;

/** What is compared. */
const WAYS: readonly Options[] = [
  { compression: "none" },
  { compression: "zstd" },
  { compression: "none", blockSize: 16 * 1024 },
  { compression: "zstd", blockSize: 16 * 1024 },
];

const WORDS =
  "amber birch cedar delta ember fjord grove heath inlet jetty knoll ledge marsh"
    .split(" ");

function keyOf(i: number): string {
  return `user/${String(i).padStart(9, "0")}`;
}

/** A document as programs keep them. */
function documentOf(i: number): string {
  const random = new Random(i + 1);
  const word = () => WORDS[random.below(WORDS.length)];
  return JSON.stringify({
    id: i,
    name: `${word()} ${word()}`,
    email: `${word()}${random.below(1000)}@example.com`,
    age: random.below(90),
    city: word(),
    score: random.below(100_000) / 7,
  });
}

/** The figures of one way, each with what it is. */
type Figures = Record<string, number>;

const seconds = (start: number): number => (performance.now() - start) / 1000;

async function fill(
  directory: string,
  options: Options,
  order: Uint32Array,
): Promise<Figures> {
  await using db = await open(directory, {
    durability: "buffered",
    ...options,
  });
  let start = performance.now();
  for (let i = 0; i < order.length; i++) {
    const write = db.put(keyOf(order[i]), documentOf(order[i]));
    if (i % WINDOW === WINDOW - 1) await write;
  }
  const filled = seconds(start);
  await db.flush();
  while (await db.minorCompact());
  start = performance.now();
  await db.put(keyOf(order[0]), documentOf(order[0])); // One run is not merged again.
  await db.majorCompact();
  return { "fill, s": filled, "merge of all, s": seconds(start) };
}

function scanAll(db: Db, count: number): number {
  const start = performance.now();
  let rows = 0;
  for (const _row of db.scan()) rows++;
  if (rows !== count) throw new Error(`${rows} rows, not ${count}`);
  return seconds(start) * 1e9 / count;
}

function lookUp(db: Db, order: Uint32Array, count: number): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    const entry = order[i % order.length];
    if (db.get(keyOf(entry)) === undefined) {
      throw new Error(`key ${entry} is missing`);
    }
  }
  return seconds(start) * 1e6 / count;
}

/** Checks some of the documents, not timed. */
function checkSome(db: Db, order: Uint32Array): void {
  const decoder = new TextDecoder();
  for (const i of order.subarray(0, CHECKED)) {
    const found = decoder.decode(db.get(keyOf(i)));
    if (found !== documentOf(i)) throw new Error(`key ${i} has ${found}`);
  }
}

/** Scans and lookups, each of a database that was just opened. */
async function read(
  directory: string,
  order: Uint32Array,
  isCold: boolean,
): Promise<Figures> {
  const name = isCold ? "from the disk" : "from the page cache";
  const openCold = () => {
    if (isCold) dropPageCache();
    return open(directory, { blockCacheSize: CACHE_BYTES });
  };
  const figures: Figures = {};
  {
    await using db = await openCold();
    figures[`scan ${name}, ns a row`] = scanAll(db, order.length);
  }
  await using db = await openCold();
  const count = isCold ? COLD_LOOKUPS : LOOKUPS;
  figures[`get ${name}, us`] = lookUp(db, order, count);
  checkSome(db, order);
  return figures;
}

async function measure(options: Options, order: Uint32Array): Promise<Figures> {
  const directory = mkdtempSync(join(tmpdir(), "varve-compression-"));
  try {
    const filled = await fill(directory, options, order);
    const warm = await read(directory, order, false);
    const canDrop = dropPageCache();
    const cold = canDrop ? await read(directory, order, true) : {};
    return {
      "files, MB": directoryBytes(directory) / 1e6,
      ...filled,
      ...warm,
      ...cold,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function shown(figure: number): string {
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3);
}

const { values: given } = parseArgs({
  options: {
    entries: { type: "string", default: "500000" },
    rounds: { type: "string", default: "3" },
  },
});
const order = shuffled(Number(given.entries), 7);
const rounds: Figures[][] = [];
for (let round = 0; round < Number(given.rounds); round++) {
  const figures: Figures[] = [];
  for (const way of WAYS) figures.push(await measure(way, order));
  rounds.push(figures);
}
const titles = WAYS.map(({ compression, blockSize = 4096 }) =>
  `${compression}, ${blockSize / 1024} KiB`
);
console.log(`| | ${titles.join(" | ")} |`);
console.log(`| --- | ${titles.map(() => "---:").join(" | ")} |`);
for (const name of Object.keys(rounds[0][0])) {
  const cells = WAYS.map((_, way) =>
    shown(median(rounds.map((figures) => figures[way][name])))
  );
  console.log(`| ${name} | ${cells.join(" | ")} |`);
}
