/** What the owner shows its readers: up to which write, and for how long they may be silent. */
import { test } from "node:test";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { ArenaPool, Memtable } from "../../../lib/memtable/memtable.ts";
import { ControlBlock } from "../../../lib/share/control.ts";
import { Publisher } from "../../../lib/share/publisher.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertThrows,
} from "../../assert.ts";
import { interrupted } from "../support/atomics.ts";
import { toBytes } from "../support/entries.ts";

const MANIFEST = { number: 3, length: 100 };

interface Made {
  readonly pool: ArenaPool;
  readonly publisher: Publisher;
  readonly control: ControlBlock;
}

function make(
  memtables: readonly Memtable[],
  pool: ArenaPool,
  cache: BlockCache = new BlockCache(0),
): Made {
  const publisher = new Publisher({
    directory: "/db",
    pool,
    memtables,
    maxFrozenMemtables: 2,
    cache,
    tableMemoryBytes: 1 << 20,
    leaseSeconds: 1,
  });
  const { control, memtablesMax, arenas } = publisher.handle;
  const block = new ControlBlock(control, memtablesMax, arenas.length);
  return { pool, publisher, control: block };
}

function withOne(): Made & { readonly memtable: Memtable } {
  const pool = new ArenaPool(1024, 1);
  const memtable = new Memtable(1, pool, 0);
  return { ...make([memtable], pool), memtable };
}

function put(memtable: Memtable, sequence: number): void {
  const key = toBytes("key");
  memtable.add(sequence, 0, key, key.length, key, 0, 0);
}

function published(control: ControlBlock): number {
  return control.readState().sequenceBase + control.sequenceLow();
}

test("memtables are shown newest first, the filled one without an end", () => {
  const { pool, publisher, control, memtable } = withOne();
  put(memtable, 1);
  put(memtable, 2);
  const active = new Memtable(1, pool, 0);
  put(active, 3);
  const shown = { memtables: [memtable, active], manifest: MANIFEST };
  publisher.show({ ...shown, lastSequence: 3 });
  const { memtables, manifest, manifestLength } = control.readState();
  assertEquals([manifest, manifestLength], [3, 100]);
  assertEquals(memtables.map(({ oldest, newest }) => [oldest, newest]), [
    [3, 0],
    [1, 2],
  ]);
  const { handle } = publisher;
  assertEquals(
    memtables.map(({ arena }) => handle.arenas[arena]),
    [active.arena, memtable.arena],
  );
  assertEquals(published(control), 3);
});

test("nothing is published from a memtable on whose arena readers do not have", () => {
  const { pool, publisher, control, memtable } = withOne();
  put(memtable, 1);
  const hidden = new Memtable(1, pool, 100_000);
  const active = new Memtable(1, pool, 0);
  const all = [memtable, hidden, active];
  publisher.show({ memtables: all, lastSequence: 1, manifest: MANIFEST });
  put(hidden, 2);
  assertEquals(publisher.wrote(2), false);
  publisher.show({ memtables: all, lastSequence: 2, manifest: MANIFEST });
  assertEquals(published(control), 1);
  put(active, 3);
  assertEquals(publisher.wrote(3), false);
  assertEquals(published(control), 1);
  assertEquals(publisher.published, 1);
  publisher.show({ memtables: [active], lastSequence: 3, manifest: MANIFEST });
  assertEquals(published(control), 3);
  assertEquals(publisher.wrote(4), true);
  assertEquals(published(control), 4);
});

test("sequences go on past 2^32", () => {
  const { publisher, control, memtable } = withOne();
  const memtables = [memtable];
  const last = 2 ** 32 - 2;
  publisher.show({ memtables, lastSequence: last, manifest: MANIFEST });
  assertEquals(publisher.wrote(2 ** 32 - 1), true);
  assertEquals(published(control), 2 ** 32 - 1);
  assertEquals(publisher.wrote(2 ** 32), undefined);
  publisher.show({ memtables, lastSequence: 2 ** 32, manifest: MANIFEST });
  assertEquals(published(control), 2 ** 32);
  assertEquals(publisher.wrote(2 ** 33 - 1), true);
  assertEquals(published(control), 2 ** 33 - 1);
  assertEquals(publisher.wrote(2 ** 33 + 5), undefined);
});

test("an arena says that it holds another memtable before it does", () => {
  const { pool, publisher, control, memtable } = withOne();
  const place = pool.placeOf(memtable.arena);
  assert(place !== undefined);
  const use = () => control.words[control.uses + place.arena];
  assertEquals(use(), place.use);
  memtable.release();
  assertEquals(use(), place.use);
  const next = new Memtable(1, pool, 0);
  assertEquals(next.arena, memtable.arena);
  assert(use() !== place.use);
  assertEquals(publisher.handle.arenas[place.arena], next.arena);
});

test("all arenas of the set are used before a hidden one", () => {
  const { pool, publisher } = withOne();
  const { arenas } = publisher.handle;
  const made = arenas.slice(1).map(() => new Memtable(1, pool, 0));
  for (const { arena } of made) assert(pool.placeOf(arena) !== undefined);
  const hidden = new Memtable(1, pool, 0);
  assertEquals(pool.placeOf(hidden.arena), undefined);
  hidden.release();
  made[0].release();
  assertEquals(new Memtable(1, pool, 0).arena, made[0].arena);
  assertEquals(pool.placeOf(new Memtable(1, pool, 0).arena), undefined);
});

test("a lease ends after twelve checks without a sign of life", () => {
  const { publisher, control } = withOne();
  const silent = control.claimLease(0);
  const lively = control.claimLease(0);
  control.claimCell(silent.token, () => 1);
  control.claimCell(lively.token, () => 2);
  for (let check = 0; check < 12; check++) {
    control.words[lively.sign]++;
    assertEquals(publisher.checkLeases(), false);
    assert(control.isLeased(silent), `check ${check}`);
  }
  control.words[lively.sign]++;
  assertEquals(publisher.checkLeases(), true);
  assert(!control.isLeased(silent));
  assert(control.isLeased(lively));
  assertEquals(publisher.snapshots(), [2]);
  assertEquals(publisher.snapshotCount, 1);
});

test("nothing waits for readers that are closed", () => {
  const { pool, publisher, memtable, control } = withOne();
  const hidden = new Memtable(1, pool, 100_000);
  const memtables = [memtable, hidden];
  publisher.show({ memtables, lastSequence: 1, manifest: MANIFEST });
  publisher.close();
  assertEquals(publisher.wrote(2), true);
  publisher.show({ memtables, lastSequence: 2, manifest: MANIFEST });
  assertEquals(control.settledVersion(), -1);
});

test("it is deserted once it was closed and every reader has let go by itself", () => {
  const { publisher, control } = withOne();
  const lease = control.claimLease(0);
  assertEquals(publisher.isDeserted, false);
  publisher.close();
  assertEquals(publisher.isDeserted, false);
  control.endLease(lease);
  assertEquals(publisher.isDeserted, true);
});

test("it is never deserted after a reader was given up", () => {
  const { publisher, control } = withOne();
  const silent = control.claimLease(0);
  for (let check = 0; check <= 12; check++) publisher.checkLeases();
  assert(!control.isLeased(silent));
  publisher.close();
  assertEquals(publisher.isDeserted, false);
});

test("arenas that were to be shared took part in later writes, though the memory for the rest was not there", () => {
  const pool = new ArenaPool(1024, 1);
  const memtable = new Memtable(1, pool, 0);
  const { arena } = memtable;
  const Original = SharedArrayBuffer;
  const largest = Reflect.construct(Original, [arena.byteLength]).byteLength;
  const failing = new Proxy(Original, {
    construct(target, given: [number]): SharedArrayBuffer {
      if (given[0] > largest) throw new RangeError("made by the test");
      return Reflect.construct(target, given);
    },
  });
  Object.assign(globalThis, { SharedArrayBuffer: failing });
  try {
    assertThrows(() => make([memtable], pool), RangeError);
  } finally {
    Object.assign(globalThis, { SharedArrayBuffer: Original });
  }
  memtable.release();
  const next = new Memtable(1, pool, 0);
  assertEquals(next.arena, arena);
  put(next, 1);
  const { publisher, control } = make([next], pool);
  publisher.show({ memtables: [next], lastSequence: 1, manifest: MANIFEST });
  assertEquals(published(control), 1);
});

test("a reader that closed itself as its lease expired was given up, or the next one was", () => {
  let points = 0;
  for (let nth = 1;; nth++) {
    const abandoned: number[] = [];
    const cache = Object.assign(new BlockCache(0), {
      abandon: (holder: number) => abandoned.push(holder),
    });
    const pool = new ArenaPool(1024, 1);
    const { publisher, control } = make([], pool, cache);
    const lease = control.claimLease(5);
    for (let check = 0; check < 12; check++) publisher.checkLeases();
    let closedItself = false;
    const isCut = interrupted(nth, () => {
      closedItself = control.endLease(lease);
      control.claimLease(6);
    }, () => publisher.checkLeases());
    if (!isCut) break;
    points++;
    assertEquals(abandoned, closedItself ? [] : [5], `operation ${nth}`);
    const left = control.listLeases().map(({ holder }) => holder);
    assertEquals(left, [6], `operation ${nth}`);
  }
  assertGreater(points, 1);
});
