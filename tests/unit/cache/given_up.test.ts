/** A thread that is given up while it puts a block in, and goes on all the same. */
import { test } from "node:test";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { LINE_WORDS } from "../../../lib/cache/layout.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertThrows,
} from "../../assert.ts";
import {
  type Answer,
  CacheUser,
  contentOf,
  trap,
} from "../support/cached_blocks.ts";

/** Room for some blocks, in one shard. */
const CAPACITY = 64 * 1024;
/** The lock of the first shard. */
const LOCK = LINE_WORDS;

/** Calls `then` at the `nth` atomic operation that `use` makes while `holder` has the lock, in whatever way; returns whether there were so many. */
function interrupted(
  words: Int32Array,
  holder: number,
  nth: number,
  then: () => void,
  use: () => void,
): boolean {
  const originals = {
    add: Atomics.add,
    load: Atomics.load,
    store: Atomics.store,
    compareExchange: Atomics.compareExchange,
  };
  let left = nth;
  const restore = () => Object.assign(Atomics, originals);
  const count = () => {
    const isHeld = Math.abs(originals.load(words, LOCK)) === holder;
    if (!isHeld || --left > 0) return;
    restore();
    then();
  };
  for (const [name, original] of Object.entries(originals)) {
    Object.assign(Atomics, {
      // Whatever its arguments are, they are the original's.
      [name]: (...all: never[]) => {
        count();
        return (original as (...all: never[]) => number)(...all);
      },
    });
  }
  try {
    use();
  } finally {
    restore();
  }
  return left <= 0;
}

/** Puts blocks 100 to 102 of table 2. */
function putThree(user: CacheUser): void {
  for (let i = 100; i < 103; i++) user.put(2, i);
}

/**
 * Gives the victim up at each atomic operation of what it does, once for each;
 * then `next` puts blocks, of which none may be torn, and block 7 of table 1
 * is only what is allowed.
 */
function giveUpAnywhere(
  prepare: (victim: CacheUser, next: CacheUser) => void,
  use: (victim: CacheUser, next: CacheUser) => void,
  allowed: readonly Answer[],
): void {
  for (const filled of [0, 5, 60]) {
    let points = 0;
    for (let nth = 1;; nth++) {
      const owner = new BlockCache(CAPACITY);
      assert(owner.memory !== undefined);
      const words = new Int32Array(owner.memory);
      const attached = () => {
        assert(owner.memory !== undefined);
        return BlockCache.attach(owner.memory);
      };
      const [victim, next] = [attached(), attached()].map((cache) =>
        new CacheUser(cache)
      );
      for (let i = 0; i < filled; i++) next.put(2, i);
      prepare(victim, next);
      const isGivenUp = interrupted(words, victim.cache.holder, nth, () => {
        owner.abandon(victim.cache.holder);
        putThree(next);
      }, () => use(victim, next));
      if (!isGivenUp) break;
      points++;
      const message = `${filled} blocks, operation ${nth}`;
      const reader = new CacheUser(owner);
      assert(allowed.includes(reader.get(1, 7)), message);
      for (let i = 100; i < 103; i++) {
        assert(reader.get(2, i) !== "torn", message);
      }
    }
    assertGreater(points, 3, `${filled}`);
  }
}

/** Puts block 7 of table 1, and does something in the middle of it. */
function putAnd(victim: CacheUser, then: () => void): void {
  const bytes = contentOf(1, 7);
  victim.cache.insert(victim.table(1), 7, trap(bytes, then), 0, bytes.length);
}

test("a thread that was given up right behind taking the lock wrote all the same, where the next one did", () => {
  giveUpAnywhere(() => {}, (victim) => {
    victim.put(1, 7);
    victim.put(1, 7); // Where the first one only left a ghost.
  }, ["absent"]);
});

/** Puts block 7 of table 1, which ends in an exception with the lock held. */
function fail(victim: CacheUser): void {
  const failing = () => {
    putAnd(victim, () => {
      throw new RangeError("made by the test");
    });
  };
  // The first one may only leave a ghost.
  assertThrows(() => [failing(), failing()], RangeError);
}

test("a thread that was given up as it found its own lock, behind an exception, wrote where the next one did", () => {
  giveUpAnywhere(fail, (victim, next) => {
    for (let i = 0; i < 2; i++) putAnd(victim, () => putThree(next));
  }, ["absent", "whole"]);
});

test("while a thread cleans up behind its exception nobody takes its lock", () => {
  let points = 0;
  for (let nth = 4;; nth++) { // Behind the three that take the lock over.
    const victim = new CacheUser(new BlockCache(CAPACITY));
    const { memory, holder } = victim.cache;
    assert(memory !== undefined);
    const other = new CacheUser(BlockCache.attach(memory));
    const words = new Int32Array(memory);
    fail(victim);
    const isGivenUp = interrupted(words, holder, nth, () => {
      other.cache.abandon(holder);
      putThree(other);
      assertEquals(other.get(2, 100), "absent", `operation ${nth}`);
    }, () => victim.put(1, 7));
    if (!isGivenUp) break;
    points++;
    putThree(other);
    assertEquals(other.get(2, 100), "whole", `operation ${nth}`);
  }
  assertGreater(points, 5);
});
