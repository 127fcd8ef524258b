/**
 * Deno KV, on a file: needs `--unstable-kv`. Writes are gathered in atomic
 * operations of a thousand, its most; all reads answer by promises.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { GroupCommit } from "./group_commit.ts";
import type {
  OpenSettings,
  ScanRequest,
  Store,
  Visit,
  VisitRow,
} from "./store.ts";

type Key = readonly [Uint8Array];

interface Atomic {
  set(key: Key, value: Uint8Array): Atomic;
  delete(key: Key): Atomic;
  commit(): Promise<{ ok: boolean }>;
}

interface Kv {
  get(key: Key): Promise<{ value: Uint8Array | null }>;
  list(
    selector: { start: Key; end: Key },
    options: { limit?: number; reverse?: boolean; batchSize?: number },
  ): AsyncIterable<{ key: Key; value: Uint8Array }>;
  atomic(): Atomic;
  close(): void;
}

interface Host {
  readonly Deno: { openKv(path: string): Promise<Kv> };
}

const MUTATIONS_MAX = 1000;
const LIST_BATCH_MAX = 500;
/** Before and behind every key. */
const FIRST: Key = [new Uint8Array(0)];
const LAST: Key = [new Uint8Array(17).fill(0xff)];

class DenoKvStore extends GroupCommit implements Store {
  readonly getsAsync = true;
  readonly scansAsync = true;
  readonly seesOwnWrites = false;
  readonly #kv: Kv;
  #gathered: Atomic | undefined;
  #count = 0;
  readonly #underWay: Promise<unknown>[] = [];

  constructor(kv: Kv) {
    super();
    this.#kv = kv;
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.#kv.get([key.slice()])).value ?? undefined;
  }

  async scan(request: ScanRequest, visit: VisitRow): Promise<void> {
    const { from, limit, reverse = false } = request;
    const key: Key | undefined = from === undefined
      ? undefined
      : [from.slice()];
    const selector = reverse
      ? { start: FIRST, end: key ?? LAST }
      : { start: key ?? FIRST, end: LAST };
    const batchSize = Math.min(limit ?? LIST_BATCH_MAX, LIST_BATCH_MAX);
    const entries = this.#kv.list(selector, {
      ...(limit === undefined ? {} : { limit }),
      reverse,
      batchSize,
    });
    for await (const entry of entries) visit(entry.key[0], entry.value);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#gathered ??= this.#kv.atomic();
    this.#gathered.set([key.slice()], value);
    if (++this.#count === MUTATIONS_MAX) this.#commit();
  }

  delete(key: Uint8Array): void {
    this.#gathered ??= this.#kv.atomic();
    this.#gathered.delete([key.slice()]);
    if (++this.#count === MUTATIONS_MAX) this.#commit();
  }

  #commit(): void {
    const atomic = this.#gathered;
    if (atomic === undefined) return;
    this.#gathered = undefined;
    this.#count = 0;
    this.#underWay.push(atomic.commit());
  }

  room(): Promise<void> {
    return this.acknowledged();
  }

  async acknowledged(): Promise<void> {
    this.#commit();
    await Promise.all(this.#underWay.splice(0));
  }

  batch(fill: (put: Visit) => void): Promise<void> {
    fill((key, value) => this.put(key, value));
    return this.acknowledged();
  }

  async deleteRange(start: Uint8Array, end: Uint8Array): Promise<void> {
    const range = { start: [start] as const, end: [end] as const };
    for await (const { key } of this.#kv.list(range, {})) this.delete(key[0]);
    await this.acknowledged();
  }

  async settle(): Promise<void> {}

  close(): Promise<void> {
    this.#kv.close();
    return Promise.resolve();
  }
}

/** Opens the store. */
export async function open({ directory }: OpenSettings): Promise<Store> {
  mkdirSync(directory, { recursive: true });
  const { Deno } = globalThis as unknown as Host;
  return new DenoKvStore(await Deno.openKv(join(directory, "entries.db")));
}
