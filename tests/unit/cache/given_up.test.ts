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
import { died, interrupted } from "../support/atomics.ts";
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

/** Calls `then` ahead of the `nth` atomic operation that `use` makes while `holder` has the lock, in whatever way; returns whether there were so many. */
function interruptedAt(
  words: Int32Array,
  holder: number,
  nth: number,
  then: () => void,
  use: () => void,
): boolean {
  return interrupted(nth, then, use, () => Math.abs(words[LOCK]) === holder);
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
      const isGivenUp = interruptedAt(words, victim.cache.holder, nth, () => {
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
    const isGivenUp = interruptedAt(words, holder, nth, () => {
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

test("a thread that was given up walked for ever over what others wrote meanwhile", () => {
  // As a length each word of it says that a record has no bytes.
  const bytes = new Uint8Array(new Int32Array(750).fill(-20).buffer);
  let points = 0;
  for (let nth = 1;; nth++) {
    const victim = new CacheUser(new BlockCache(CAPACITY));
    const { memory, holder } = victim.cache;
    assert(memory !== undefined);
    const other = new CacheUser(BlockCache.attach(memory));
    for (let i = 0; i < 400; i++) {
      other.put(2, i, 300);
      for (let hits = 0; hits < 2; hits++) other.get(2, i, 300);
    }
    const isGivenUp = interruptedAt(new Int32Array(memory), holder, nth, () => {
      other.cache.abandon(holder);
      for (let i = 0; i < 40; i++) {
        other.cache.insert(other.table(4), i, bytes, 0, bytes.length);
      }
    }, () => {
      for (let i = 0; i < 40; i++) victim.put(1, i, 300);
    });
    if (!isGivenUp) break;
    points++;
  }
  assertGreater(points, 200);
});

test("an owner whose cleaning up ended in an exception freed what the one it gave up writes to", () => {
  let points = 0;
  for (let nth = 1;; nth++) {
    const owner = new CacheUser(new BlockCache(CAPACITY));
    const { memory } = owner.cache;
    assert(memory !== undefined);
    const [victim, other] = [0, 1].map(() =>
      new CacheUser(BlockCache.attach(memory))
    );
    const put = () => {
      for (let i = 0; i < 8; i++) for (const u of [owner, other]) u.put(2, i);
    };
    let isCut = false;
    // In the middle of its insert the victim is given up, by an owner that does not get to the end of that.
    for (let i = 0; i < 2; i++) {
      putAnd(victim, () => {
        const { holder } = victim.cache;
        isCut ||= died(nth, () => owner.cache.abandon(holder));
        put();
      });
    }
    if (!isCut) break;
    points++;
    for (let i = 0; i < 8; i++) {
      assert(other.get(2, i) !== "torn", `operation ${nth}, block ${i}`);
    }
  }
  assertGreater(points, 5);
});
