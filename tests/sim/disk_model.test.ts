/**
 * The disk against a model of it that keeps everything in plain arrays: random
 * operations, and power losses at any moment, whose outcome must be one that
 * the model allows.
 */
import { describe, test } from "node:test";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { Random } from "../engine/support/random.ts";
import type { File } from "../../lib/runtime/runtime.ts";
import { type BootedFiles, Disk, type Fault, PowerLoss } from "./disk.ts";

const DIRECTORIES = ["/a", "/b"];
const NAMES = ["1", "2", "3", "4"];
const LENGTHS = [1, 5, 100, 4096, 9000];

const NO_DICE = {
  below: (): number => {
    throw new Error("a die is thrown");
  },
};

// --- The model ---

interface ModelWrite {
  readonly bytes: Uint8Array;
  readonly position: number;
  isLost: boolean;
}

/** What a sync that is called now has to save, and whether it does. */
interface ModelSync {
  readonly writes: readonly ModelWrite[];
  readonly isLost: boolean;
}

function apply(content: Uint8Array, writes: readonly ModelWrite[]): Uint8Array {
  const ends = writes.map(({ bytes, position }) => position + bytes.length);
  const result = new Uint8Array(Math.max(content.length, ...ends));
  result.set(content);
  for (const { bytes, position } of writes) result.set(bytes, position);
  return result;
}

class ModelFile {
  cached: Uint8Array = new Uint8Array(0);
  durable: Uint8Array = new Uint8Array(0);
  /** Those that are not durable. */
  writes: ModelWrite[] = [];
  syncs: ModelSync[] = [];

  write(bytes: Uint8Array, position: number): void {
    const write = { bytes, position, isLost: false };
    this.cached = apply(this.cached, [write]);
    this.writes.push(write);
  }

  beginSync(isLost: boolean): ModelSync {
    const sync = { writes: [...this.writes], isLost };
    this.syncs.push(sync);
    return sync;
  }

  endSync(sync: ModelSync): void {
    while (this.syncs.includes(sync)) {
      const { writes, isLost } = this.syncs.shift() as ModelSync;
      const left = writes.filter((write) => this.writes.includes(write));
      if (isLost) { for (const write of left) write.isLost = true; }
      else {
        this.durable = apply(
          this.durable,
          left.filter(({ isLost }) => !isLost),
        );
        this.writes = this.writes.filter((write) => !left.includes(write));
      }
    }
  }

  /** What a power loss leaves that spares all that it can. */
  get kept(): Uint8Array {
    return apply(this.durable, this.writes.filter(({ isLost }) => !isLost));
  }

  /** Whether a power loss can leave these bytes. */
  allows(content: Uint8Array): boolean {
    const longest = apply(this.durable, this.writes).length;
    if (content.length < this.durable.length || content.length > longest) {
      return false;
    }
    const writes = this.writes;
    return content.every((byte, i) =>
      byte === (i < this.durable.length ? this.durable[i] : 0) ||
      writes.some(({ bytes, position }) => bytes[i - position] === byte)
    );
  }
}

class Model {
  entries: Map<string, ModelFile> = new Map();
  durable: Map<string, ModelFile> = new Map();
  /** What each name has been since its directory was synced. */
  #since: Map<string, (ModelFile | undefined)[]> = new Map();
  /** Whether an unsynced rename ties the two directories. */
  #areTied: boolean = false;

  set(path: string, file: ModelFile | undefined): void {
    const since = this.#since.get(path) ?? [];
    this.#since.set(path, [...since, file]);
    if (file === undefined) this.entries.delete(path);
    else this.entries.set(path, file);
  }

  rename(from: string, to: string): void {
    const file = this.entries.get(from);
    if (from === to) return;
    this.set(to, file);
    this.set(from, undefined);
    if (from.slice(0, 2) !== to.slice(0, 2)) this.#areTied = true;
  }

  syncDirectory(directory: string): void {
    for (const path of allPaths()) {
      if (!this.#areTied && !path.startsWith(directory)) continue;
      const file = this.entries.get(path);
      if (file === undefined) this.durable.delete(path);
      else this.durable.set(path, file);
      this.#since.delete(path);
    }
    this.#areTied = false;
  }

  candidates(path: string): (ModelFile | undefined)[] {
    return [this.durable.get(path), ...this.#since.get(path) ?? []];
  }
}

function allPaths(): string[] {
  return DIRECTORIES.flatMap((directory) =>
    NAMES.map((name) => `${directory}/${name}`)
  );
}

// --- The run ---

interface OpenFile {
  readonly file: File;
  readonly model: ModelFile;
}

interface SyncUnderWay {
  readonly end: () => void;
  readonly promise: Promise<void>;
  readonly model: ModelFile;
  readonly sync: ModelSync;
}

/** Random operations on a disk and its model. */
class Run {
  readonly random: Random;
  disk: Disk = new Disk();
  /** Of everything that could be seen. */
  trace: number = 0;
  #model: Model = new Model();
  #files: BootedFiles;
  #open: OpenFile[] = [];
  #syncs: SyncUnderWay[] = [];
  #fault: Fault | undefined;
  #time: Promise<void> = Promise.resolve();

  constructor(seed: number) {
    this.random = new Random(seed);
    this.#files = this.#boot();
    for (const directory of DIRECTORIES) this.#files.makeDirectory(directory);
  }

  #boot(): BootedFiles {
    return this.disk.boot({
      before: () => this.#fault,
      syncTime: () => this.#time,
    });
  }

  async step(): Promise<void> {
    const { random } = this;
    const roll = random.below(100);
    if (roll < 15) this.#create();
    else if (roll < 50) this.#write();
    else if (roll < 57) this.#syncNow(false);
    else if (roll < 59) this.#syncNow(true);
    else if (roll < 66) this.#beginSync();
    else if (roll < 73) await this.#endSync();
    else if (roll < 80) this.#rename();
    else if (roll < 86) this.#remove();
    else if (roll < 93) this.#syncDirectory();
    else if (roll < 98) this.#check();
    else if (roll === 98) await this.#die();
    else await this.#losePower();
  }

  #create(): void {
    const path = this.random.pick(allPaths());
    if (this.#model.entries.has(path)) return;
    const model = new ModelFile();
    this.#open.push({ file: this.#files.open(path, "create"), model });
    this.#model.set(path, model);
  }

  #write(): void {
    if (this.#open.length === 0) return;
    const { file, model } = this.random.pick(this.#open);
    const length = this.random.pick(LENGTHS);
    const bytes = new Uint8Array(length).fill(1 + this.random.below(255));
    const position = this.random.chance(70)
      ? model.cached.length
      : this.random.below(model.cached.length + 5000);
    file.writeAt(bytes, position);
    model.write(bytes.slice(), position);
    bytes.fill(0); // It was only lent.
  }

  #syncNow(isLost: boolean): void {
    if (this.#open.length === 0) return;
    const { file, model } = this.random.pick(this.#open);
    this.#fault = isLost ? { kind: "lostSync", code: "EIO" } : undefined;
    let thrown: unknown;
    try {
      file.syncNow();
    } catch (error) {
      thrown = error;
    }
    this.#fault = undefined;
    assertEquals(thrown !== undefined, isLost);
    model.endSync(model.beginSync(isLost));
  }

  #beginSync(): void {
    if (this.#open.length === 0) return;
    const { file, model } = this.random.pick(this.#open);
    const isLost = this.random.chance(10);
    this.#fault = isLost ? { kind: "lostSync", code: "EIO" } : undefined;
    let end = () => {};
    this.#time = new Promise((resolve) => end = resolve);
    const promise = file.sync();
    this.#fault = undefined;
    promise.catch(() => {});
    const sync = model.beginSync(isLost);
    this.#syncs.push({ end, promise, model, sync });
  }

  async #endSync(): Promise<void> {
    const index = this.random.below(this.#syncs.length + 1);
    const ended = this.#syncs.splice(index, 1)[0];
    if (ended === undefined) return;
    ended.end();
    if (ended.sync.isLost) await assertRejects(() => ended.promise, Error);
    else await ended.promise;
    ended.model.endSync(ended.sync);
  }

  #rename(): void {
    const from = this.random.pick(allPaths());
    const to = this.random.pick(allPaths());
    if (!this.#model.entries.has(from)) return;
    this.#files.rename(from, to);
    this.#model.rename(from, to);
  }

  #remove(): void {
    const path = this.random.pick(allPaths());
    if (!this.#model.entries.has(path)) return;
    this.#files.remove(path);
    this.#model.set(path, undefined);
  }

  #syncDirectory(): void {
    const directory = this.random.pick(DIRECTORIES);
    this.#files.syncDirectory(directory);
    this.#model.syncDirectory(directory);
  }

  /** What is seen is right, and so is all that a power loss would leave. */
  #check(): void {
    const paths = [...this.#model.entries.keys()].sort();
    assertEquals(this.disk.list().map(({ path }) => path), paths);
    for (const path of paths) {
      const { cached } = this.#model.entries.get(path) as ModelFile;
      assertEquals(this.disk.readFile(path), cached);
    }
    const before = this.disk.hash();
    const { durable, entries } = this.#model;
    this.#checkLoss("lose-all", durable, (file) => file.durable);
    this.#checkLoss("keep-all", entries, (file) => file.kept);
    for (let i = 0; i < 3; i++) this.#afterAnyLoss();
    assertEquals(this.disk.hash(), before);
  }

  /** An extreme loss leaves `left`, and of each file these bytes. */
  #checkLoss(
    mode: "lose-all" | "keep-all",
    left: ReadonlyMap<string, ModelFile>,
    bytesOf: (file: ModelFile) => Uint8Array,
  ): void {
    const fork = this.disk.fork();
    fork.powerLoss(NO_DICE, mode);
    assertEquals(fork.list().map(({ path }) => path), [...left.keys()].sort());
    for (const [path, file] of left) {
      assertEquals(fork.readFile(path), bytesOf(file));
    }
  }

  /** A fork that lost power; it is one that the model allows. */
  #afterAnyLoss(): Disk {
    const fork = this.disk.fork();
    fork.powerLoss(this.random);
    const there = new Set(fork.list().map(({ path }) => path));
    for (const path of allPaths()) {
      const candidates = this.#model.candidates(path);
      if (!there.delete(path)) {
        assert(candidates.includes(undefined), `${path} is missing`);
        continue;
      }
      const content = fork.readFile(path);
      const isAllowed = candidates.some((file) => file?.allows(content));
      assert(isAllowed, `${path} has what it cannot have`);
    }
    assertEquals([...there], []);
    assert(fork.isClean);
    this.#note(fork);
    return fork;
  }

  #note(disk: Disk): void {
    this.trace = (Math.imul(this.trace, 31) + disk.hash()) >>> 0;
  }

  async #die(): Promise<void> {
    this.disk.killProcess();
    await this.#endAll();
    for (const file of this.#everyFile()) file.syncs = [];
    this.#files = this.#boot();
  }

  #everyFile(): ModelFile[] {
    const paths = allPaths();
    return paths.flatMap((path) => this.#model.candidates(path))
      .filter((file) => file !== undefined);
  }

  /** Goes on with what a power loss leaves. */
  async #losePower(): Promise<void> {
    const lost = this.#afterAnyLoss();
    this.disk.killProcess();
    await this.#endAll();
    this.disk = lost;
    this.#files = this.#boot();
    this.#model = new Model();
    for (const { path } of lost.list()) {
      const file = new ModelFile();
      file.cached = file.durable = lost.readFile(path);
      this.#model.entries.set(path, file);
      this.#model.durable.set(path, file);
    }
  }

  /** The boot has ended: what was open or under way is dead. */
  async #endAll(): Promise<void> {
    for (const { end, promise } of this.#syncs.splice(0)) {
      end();
      await assertRejects(() => promise, PowerLoss);
    }
    this.#open = [];
  }
}

async function run(seed: number, steps: number): Promise<number> {
  const run = new Run(seed);
  for (let step = 0; step < steps; step++) await run.step();
  return run.trace;
}

describe("random operations and power losses agree with the model", () => {
  for (let seed = 1; seed <= 20; seed++) {
    test(`seed ${seed}`, async () => {
      await run(seed, 1000);
    });
  }
});

test("one seed leaves the same bytes on every runtime", async () => {
  assertEquals(await run(1, 2000), 1997697724);
});
