/** A thread that is given up while it puts a block in, and goes on all the same. */
import { test } from "node:test";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import { LINE_WORDS } from "../../../lib/cache/layout.ts";
import { assert, assertEquals, assertGreater } from "../../assert.ts";
import { CacheUser } from "../support/cached_blocks.ts";

/** Room for some blocks, in one shard. */
const CAPACITY = 64 * 1024;
/** The lock of the first shard. */
const LOCK = LINE_WORDS;

/** Calls `then` at the `nth` atomic operation that `use` makes while `holder` has the lock; returns whether there were so many. */
function interrupted(
  words: Int32Array,
  holder: number,
  nth: number,
  then: () => void,
  use: () => void,
): boolean {
  const originals = {
    load: Atomics.load,
    store: Atomics.store,
    compareExchange: Atomics.compareExchange,
  };
  let left = nth;
  const restore = () => Object.assign(Atomics, originals);
  const count = () => {
    if (originals.load(words, LOCK) !== holder || --left > 0) return;
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

test("a thread that was given up right behind taking the lock wrote all the same, where the next one did", () => {
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
      const isGivenUp = interrupted(words, victim.cache.holder, nth, () => {
        owner.abandon(victim.cache.holder);
        for (let i = 100; i < 103; i++) next.put(2, i);
      }, () => {
        victim.put(1, 7);
        victim.put(1, 7); // Where the first one only left a ghost.
      });
      if (!isGivenUp) break;
      points++;
      const message = `${filled} blocks, operation ${nth}`;
      const reader = new CacheUser(owner);
      assertEquals(reader.get(1, 7), "absent", message);
      for (let i = 100; i < 103; i++) {
        assert(reader.get(2, i) !== "torn", message);
      }
    }
    assertGreater(points, 5, `${filled}`);
  }
});
