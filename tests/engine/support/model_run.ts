/**
 * One run of the model test: a database in memory, a model of it, and random
 * steps that change and compare both.
 *
 * What is done depends on the seed alone, and so do the answers: neither on
 * the options nor on the runtime. {@linkcode ModelRun.digest} is theirs.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import {
  Batch,
  Chunk,
  type Codec,
  type Db,
  type Options,
  type Scan,
  type Snapshot,
} from "../../../mod.ts";
import { assert, assertEquals } from "../../assert.ts";
import { filled } from "./bytes.ts";
import { fromBytes, type TextRange, toByteRange, toBytes } from "./key_text.ts";
import { closeQuietly, openIn } from "./memory.ts";
import { Model, type ModelRow } from "./model.ts";
import { Random } from "./random.ts";

/** What reads: the database or a snapshot. */
type Reader = Db | Snapshot;

/** A scan that was left open, and the rows that it still owes. */
interface HeldScan {
  readonly rest: Iterator<[Uint8Array, Uint8Array]>;
  readonly owed: ModelRow[];
}

const HELD_MAX = 3;
/** Room for any value. */
const TARGET = new Uint8Array(1024);

/** One run. */
export class ModelRun {
  /** What was done, one line for each step. */
  readonly history: string[] = [];
  readonly #random: Random;
  readonly #options: Options;
  readonly #answers: Hash = createHash("sha256");
  #files: MemoryFileSystem = new MemoryFileSystem();
  #db: Db | undefined;
  readonly #abandoned: Db[] = [];
  #model: Model = new Model();
  #waiting: Promise<unknown>[] = [];
  #snapshots: { snapshot: Snapshot; model: Model }[] = [];
  #scans: HeldScan[] = [];
  /** Steps and how often each is drawn. */
  readonly #steps: [weight: number, name: string, step: () => unknown][] = [
    [30, "put", () => this.#put()],
    [12, "delete", () => this.#delete()],
    [6, "deleteRange", () => this.#deleteRange()],
    [2, "clear", () => this.#clear()],
    [8, "batch", () => this.#batch()],
    [20, "read", () => this.#read(this.#handle, this.#model)],
    [16, "scan", () => this.#scan(this.#handle, this.#model)],
    [5, "snapshot", () => this.#takeSnapshot()],
    [8, "read a snapshot", () => this.#readSnapshot()],
    [3, "drop a snapshot", () => this.#dropSnapshot()],
    [4, "hold a scan", () => this.#holdScan()],
    [8, "advance a scan", () => this.#advanceScan()],
    [4, "settle", () => this.#settle()],
    [5, "flush", () => this.#handle.flush()],
    [3, "minor", () => this.#handle.minorCompact()],
    [3, "tombstone", () => this.#handle.tombstoneCompact()],
    [2, "major", () => this.#handle.majorCompact()],
    [2, "close and reopen", () => this.#reopen()],
    [2, "process death", () => this.#die()],
    [1, "power loss", () => this.#losePower()],
  ];

  constructor(seed: number, options: Options) {
    this.#random = new Random(seed);
    this.#options = options;
  }

  get #handle(): Db {
    assert(this.#db, "the run was started");
    return this.#db;
  }

  /** The hash of all answers so far, and of the counts that must not depend on options. */
  get digest(): string {
    return this.#answers.copy().digest("hex");
  }

  /** Opens the database. */
  async start(): Promise<void> {
    this.#db = await openIn(this.#files, this.#options);
  }

  /** One random step. */
  async step(): Promise<void> {
    let draw = this.#random.below(
      this.#steps.reduce((sum, [weight]) => sum + weight, 0),
    );
    for (const [weight, name, step] of this.#steps) {
      draw -= weight;
      if (draw >= 0) continue;
      this.history.push(name);
      await step();
      return;
    }
  }

  /** Everything once more, before and after a last reopening. */
  async finish(): Promise<void> {
    this.#verifyAll();
    for (const held of this.#snapshots) await this.#readSnapshot(held);
    await this.#reopen();
    this.#verifyAll();
    await this.#handle.majorCompact();
    this.#verifyAll();
    const entries = this.#handle.stats().levels
      .reduce((sum, level) => sum + level.entries, 0);
    assertEquals(entries, this.#model.rows({}, false, Infinity).length);
    this.#tellCounts();
  }

  /** Lets go of every handle, whatever state it is in. */
  async abandon(): Promise<void> {
    if (this.#db) this.#abandoned.push(this.#db);
    await Promise.all(this.#abandoned.map(closeQuietly));
    await Promise.allSettled(this.#waiting);
  }

  #note(detail: string): void {
    this.history[this.history.length - 1] += ` ${detail}`;
  }

  /** Adds an answer to the digest. */
  #tell(answer: Uint8Array | string | undefined): void {
    const kind = answer === undefined ? 0 : typeof answer === "string" ? 1 : 2;
    this.#answers.update(`${kind} ${answer?.length} `).update(answer ?? "");
  }

  #tellRows(rows: readonly ModelRow[]): void {
    for (const [key, value] of rows) {
      this.#tell(key);
      this.#tell(value);
    }
  }

  #tellCounts(): void {
    const { lastSequence, openSnapshots, openScans } = this.#handle.stats();
    this.#tell(`${lastSequence} ${openSnapshots} ${openScans}`);
  }

  // --- Random data ---

  /** Short keys over four bytes, extremes included, so that keys meet again. */
  #key(): string {
    const length = this.#random.pick([0, 1, 1, 2, 2, 2, 3]);
    let key = "";
    for (let i = 0; i < length; i++) {
      key += this.#random.pick(["\0", "a", "b", "\xff"]);
    }
    return this.#random.chance(3) ? key + "k".repeat(300) : key;
  }

  #value(): Uint8Array {
    const length = this.#random.pick([0, 1, 5, 20, 100, 100, 700]);
    return filled(length, this.#random.below(1000));
  }

  #range(): TextRange {
    const range: TextRange = {};
    const low = this.#random.below(3);
    const high = this.#random.below(3);
    if (low === 1) range.gt = this.#key();
    if (low === 2) range.gte = this.#key();
    if (high === 1) range.lt = this.#key();
    if (high === 2) range.lte = this.#key();
    if (this.#random.chance(30)) range.prefix = this.#key().slice(0, 2);
    return range;
  }

  // --- Writes ---

  /** Half of the writes are awaited at once, the others later together. */
  async #accept(write: Promise<unknown>): Promise<void> {
    if (this.#random.chance(50)) return void await write;
    write.catch(() => {}); // it is looked at when the run settles
    this.#waiting.push(write);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#waiting);
    this.#waiting = [];
  }

  #put(): Promise<void> {
    const key = this.#key();
    const value = this.#value();
    this.#note(`${JSON.stringify(key)} (${value.length} bytes)`);
    this.#model.put(key, value);
    return this.#accept(this.#handle.put(toBytes(key), value));
  }

  #delete(): Promise<void> {
    const key = this.#key();
    this.#note(JSON.stringify(key));
    this.#model.delete(key);
    return this.#accept(this.#handle.delete(toBytes(key)));
  }

  /** Two keys in order, or nothing where they are equal. */
  #bounds(): [string, string] | undefined {
    const [start, end] = [this.#key(), this.#key()].sort();
    return start === end ? undefined : [start, end];
  }

  async #deleteRange(): Promise<void> {
    const bounds = this.#bounds();
    if (bounds === undefined) return;
    const [start, end] = bounds;
    this.#note(JSON.stringify(bounds));
    this.#model.clear({ gte: start, lt: end });
    await this.#accept(
      this.#handle.deleteRange(toBytes(start), toBytes(end)),
    );
  }

  async #clear(): Promise<void> {
    const range = this.#range();
    this.#note(JSON.stringify(range));
    this.#model.clear(range);
    await this.#accept(this.#handle.clear(toByteRange(range)));
  }

  async #batch(): Promise<void> {
    // A batch that the database did not make knows no codecs.
    const { keys, values } = this.#options;
    const batch = keys === undefined && values === undefined
      ? new Batch()
      : this.#handle.batch();
    const size = this.#random.below(12);
    for (let i = 0; i < size; i++) {
      const key = this.#key();
      const kind = this.#random.below(10);
      const bounds = this.#bounds();
      if (kind < 6) {
        const value = this.#value();
        this.#note(`put ${JSON.stringify(key)}`);
        batch.put(toBytes(key), value);
        this.#model.put(key, value);
      } else if (kind < 9 || bounds === undefined) {
        this.#note(`delete ${JSON.stringify(key)}`);
        batch.delete(toBytes(key));
        this.#model.delete(key);
      } else {
        this.#note(`deleteRange ${JSON.stringify(bounds)}`);
        batch.deleteRange(toBytes(bounds[0]), toBytes(bounds[1]));
        this.#model.clear({ gte: bounds[0], lt: bounds[1] });
      }
    }
    await this.#accept(this.#handle.write(batch));
  }

  // --- Reads ---

  #read(reader: Reader, model: Model): void {
    const keys = Array.from({ length: 8 }, () => this.#key());
    const values = keys.map((key) => model.get(key));
    keys.forEach((key, i) => {
      const shown = JSON.stringify(key);
      const value = reader.get(toBytes(key));
      assertEquals(value, values[i], `get ${shown}`);
      this.#tell(value);
      const stored = this.#stored(value);
      const length = reader.getInto(toBytes(key), TARGET);
      assertEquals(length, stored?.length, `getInto ${shown}`);
      assertEquals(TARGET.slice(0, length ?? 0), stored ?? new Uint8Array());
      const isThere = values[i] !== undefined;
      assertEquals(reader.has(toBytes(key)), isThere, `has ${shown}`);
    });
    assertEquals(reader.getMany(keys.map(toBytes)), values);
  }

  /** A value as it is stored. */
  #stored(value: Uint8Array | undefined): Uint8Array | undefined {
    const codec = this.#options.values as Codec<Uint8Array> | undefined;
    return value === undefined || codec === undefined
      ? value
      : codec.encode(value);
  }

  #openScan(
    reader: Reader,
    model: Model,
  ): { scan: Scan; expected: ModelRow[] } {
    const range = this.#range();
    const reverse = this.#random.chance(50);
    const limit = this.#random.chance(30) ? this.#random.below(10) : Infinity;
    this.#note(JSON.stringify({ ...range, reverse, limit }));
    return {
      scan: reader.scan({ ...toByteRange(range), reverse, limit }),
      expected: model.rows(range, reverse, limit),
    };
  }

  async #scan(reader: Reader, model: Model): Promise<void> {
    const { scan, expected } = this.#openScan(reader, model);
    await this.#walk(scan, expected);
    this.#tellCounts();
  }

  async #walk(scan: Scan, expected: readonly ModelRow[]): Promise<void> {
    switch (this.#random.below(5)) {
      case 0:
        assertEquals([...scan.keys()].map(fromBytes), expected.map(([k]) => k));
        break;
      case 1:
        assertEquals([...scan.values()], expected.map(([, value]) => value));
        break;
      case 2: {
        const seen: [Uint8Array, Uint8Array][] = [];
        for await (const row of scan) seen.push(row);
        assertEquals(asModelRows(seen), expected);
        break;
      }
      case 3: {
        const until = this.#random.below(expected.length + 1);
        const seen: [Uint8Array, Uint8Array][] = [];
        for (const row of scan) {
          if (seen.length === until) break;
          seen.push(row);
        }
        assertEquals(asModelRows(seen), expected.slice(0, until));
        break;
      }
      default: {
        // Without a draw: the answers to a seed stay what they were.
        const way = expected.length % 6;
        const seen = way < 2
          ? asModelRows([...scan])
          : rowsByChunks(scan, way === 2 ? undefined : 10 ** way / 10);
        assertEquals(seen, expected);
        this.#tellRows(seen);
      }
    }
  }

  #verifyAll(): void {
    for (const reverse of [false, true]) {
      const seen = asModelRows([...this.#handle.scan({ reverse })]);
      assertEquals(seen, this.#model.rows({}, reverse, Infinity));
      this.#tellRows(seen);
    }
    for (const [key, value] of this.#model.rows({}, false, Infinity)) {
      assertEquals(this.#handle.get(toBytes(key)), value, JSON.stringify(key));
    }
  }

  // --- Snapshots and open scans ---

  #takeSnapshot(): void {
    if (this.#snapshots.length >= HELD_MAX) return;
    const snapshot = this.#handle.snapshot();
    this.#snapshots.push({ snapshot, model: this.#model.copy() });
  }

  async #readSnapshot(
    held = this.#snapshots.at(this.#random.below(HELD_MAX)),
  ): Promise<void> {
    if (held === undefined) return;
    this.#read(held.snapshot, held.model);
    await this.#scan(held.snapshot, held.model);
  }

  #dropSnapshot(): void {
    this.#snapshots.shift()?.snapshot[Symbol.dispose]();
  }

  #holdScan(): void {
    if (this.#scans.length >= HELD_MAX) return;
    const { scan, expected } = this.#openScan(this.#handle, this.#model);
    this.#scans.push({ rest: scan[Symbol.iterator](), owed: expected });
  }

  #advanceScan(): void {
    const at = this.#random.below(HELD_MAX);
    const held = this.#scans[at];
    if (held === undefined) return;
    for (let i = 0; i < 3; i++) {
      const { done, value } = held.rest.next();
      assertEquals(done ? [] : asModelRows([value]), held.owed.splice(0, 1));
      if (!done) continue;
      this.#scans.splice(at, 1);
      return;
    }
  }

  // --- Ends of a life ---

  async #reopen(): Promise<void> {
    await this.#handle.close();
    await this.#settle();
    await this.#openAgain();
  }

  async #die(): Promise<void> {
    await this.#settle();
    this.#abandoned.push(this.#handle);
    this.#files = this.#files.afterProcessDeath();
    await this.#openAgain();
  }

  async #losePower(): Promise<void> {
    await this.#settle();
    await this.#handle.sync();
    this.#abandoned.push(this.#handle);
    this.#files = this.#files.afterPowerLoss();
    await this.#openAgain();
  }

  async #openAgain(): Promise<void> {
    this.#snapshots = [];
    this.#scans = [];
    this.#db = undefined;
    this.#db = await openIn(this.#files, this.#options);
    this.#verifyAll();
  }
}

/** The rows of a scan by chunks: in memory of their own, or in one of `room` bytes. */
function rowsByChunks(scan: Scan, room: number | undefined): ModelRow[] {
  const rows: ModelRow[] = [];
  const reuse = room === undefined ? undefined : new Chunk(room);
  for (const chunk of scan.chunks(reuse)) {
    for (let row = 0; row < chunk.length; row++) {
      rows.push([fromBytes(chunk.key(row)), chunk.value(row).slice()]);
    }
  }
  return rows;
}

function asModelRows(rows: [Uint8Array, Uint8Array][]): ModelRow[] {
  return rows.map(([key, value]) => [fromBytes(key), value]);
}
