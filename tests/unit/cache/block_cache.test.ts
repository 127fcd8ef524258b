/** The block cache on one thread: its bound, who stays, tickets, and holders that were given up. */
import { test } from "node:test";
import { BlockCache } from "../../../lib/cache/block_cache.ts";
import {
  CacheMemory,
  chooseShape,
  hashBlock,
  LINE_WORDS,
  seedOf,
  tagOf,
} from "../../../lib/cache/layout.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
  assertStrictEquals,
  assertThrows,
} from "../../assert.ts";
import { LONG } from "../../engine/support/configs.ts";
import { Random } from "../../engine/support/random.ts";
import {
  CacheUser,
  contentOf,
  LENGTH_MAX,
  trap,
} from "../support/cached_blocks.ts";

const BLOCK_BYTES = 4096;
const MIB = 1024 * 1024;

function newUser(capacity: number): CacheUser {
  return new CacheUser(new BlockCache(capacity));
}

test("a block that was put is found again, under its own key only", () => {
  const user = newUser(MIB);
  user.put(1, 5);
  assertEquals(user.get(1, 5), "whole");
  assertEquals(user.cache.hits, 1);
  assertGreaterOrEqual(user.cache.bytes, contentOf(1, 5).length);
  for (const [table, ordinal] of [[1, 4], [1, 6], [1, 5000], [2, 5], [5, 1]]) {
    assertEquals(user.get(table, ordinal), "absent");
  }
});

test("table numbers beyond 32 bits are told apart", () => {
  const user = newUser(MIB);
  const numbers = [7, 7 + 2 ** 32, 7 + 2 ** 33, 2 ** 47 + 7];
  for (const number of numbers) user.put(number, 3);
  for (const number of numbers) assertEquals(user.get(number, 3), "whole");
  assertEquals(user.get(7 + 2 ** 34, 3), "absent");
});

test("a block that has another's bucket and tag is not taken for it", () => {
  // The number of the table of which block 3 has the hash of block 2 of `table`.
  const otherOf = (table: number): number => {
    const seed = seedOf(table, 0) ^ 2 ^ 3;
    const product = seed ^ (seed >>> 15) ^ (seed >>> 30);
    const factor = 0x165667b1;
    let inverse = factor;
    for (let i = 0; i < 5; i++) {
      inverse = Math.imul(inverse, 2 - Math.imul(factor, inverse));
    }
    return Math.imul(product, inverse) >>> 0;
  };
  const pairs = Array.from({ length: 50 }, (_, i) => [i + 1, otherOf(i + 1)])
    .filter(([table, other]) => {
      const hash = hashBlock(seedOf(table, 0), 2);
      assertEquals(hashBlock(seedOf(other | 0, 0), 3), hash);
      return tagOf(hash, 2) === tagOf(hash, 3);
    });
  assertGreater(pairs.length, 10);
  for (const [table, other] of pairs) {
    const user = newUser(MIB);
    user.put(table, 2);
    assertEquals(user.get(other, 3), "absent");
    user.put(other, 3);
    assertEquals([user.get(table, 2), user.get(other, 3)], ["whole", "whole"]);
  }
});

test("a block that is there is not put twice", () => {
  const user = newUser(MIB);
  user.put(1, 0);
  const { bytes } = user.cache;
  user.put(1, 0);
  assertEquals(user.cache.bytes, bytes);
});

test("a capacity of 0 keeps nothing, and has no memory", () => {
  const user = newUser(0);
  user.put(1, 0);
  assertEquals(user.get(1, 0), "absent");
  assertEquals(user.cache.bytes, 0);
  assertEquals(user.cache.capacity, 0);
  assertEquals(user.cache.memory, undefined);
  user.cache.abandon(1);
});

test("the memory is never larger than the capacity, whatever that is, and uses most of it", () => {
  const random = new Random(1);
  const capacities = [1, 100, 1000, 4096, 10_000, 65_536, 262_143, 262_144];
  for (let i = 0; i < 300; i++) capacities.push(random.below(2 ** 20));
  for (let bits = 20; bits <= 36; bits++) {
    capacities.push(
      2 ** bits,
      2 ** bits - 1,
      2 ** bits + random.below(2 ** 20),
    );
  }
  for (const capacity of capacities) {
    for (const blockSize of [256, 4096, 65_536, MIB]) {
      const shape = chooseShape(capacity, blockSize);
      const message = `${capacity} bytes, blocks of ${blockSize}`;
      if (shape === undefined) {
        assertLess(capacity, 4096, message);
        continue;
      }
      const shards = 2 ** shape.shardBits;
      const data = shards * shape.segments * shape.segmentBytes;
      const words = LINE_WORDS * (1 + shards + shards * 2 ** shape.bucketBits) +
        shards * (3 * shape.segments + 2 ** shape.ghostBits);
      assertLessOrEqual(data + words * 4, capacity, message);
      if (capacity >= 4096) assertGreater(data, capacity / 2, message);
      assertLess(words, 2 ** 31, message);
      // Places hold the segment and the offset in 15 and 16 bits.
      assertLess(shape.segments, 2 ** 15, message);
      assertLessOrEqual(shape.segmentBytes / 64, 2 ** 16, message);
      if (capacity >= 64 * MIB) {
        assertGreaterOrEqual(shape.segmentBytes, 256 * 1024, message);
      }
    }
  }
});

test("a block larger than a segment is not kept, and pushes out nothing", () => {
  const user = newUser(MIB);
  user.put(1, 0);
  user.put(1, 1, MIB / 8 + 1);
  assertEquals(user.get(1, 1, MIB / 8 + 1), "absent");
  assertEquals(user.get(1, 0), "whole");
  user.put(1, 2, MIB / 8 - 16);
  assertEquals(user.get(1, 2, MIB / 8 - 16), "whole");
  const usual = newUser(64 * MIB);
  usual.put(1, 0, 200 * 1024);
  assertEquals(usual.get(1, 0, 200 * 1024), "whole");
});

test(
  "at random: what is found is what was put, within the bound",
  LONG,
  () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new Random(seed);
      const capacity = 20_000 + random.below(400_000);
      const user = newUser(capacity);
      const put = new Set<string>();
      let [evicted, found] = [0, 0];
      for (let step = 0; step < 6000; step++) {
        const table = 1 + random.below(6);
        const ordinal = random.below(random.chance(50) ? 20 : 300);
        const message = `seed ${seed}, step ${step}`;
        const name = `${table}:${ordinal}`;
        if (random.chance(60)) {
          const answer = user.get(table, ordinal);
          if (answer === "whole") found++;
          else assertEquals(answer, "absent", message);
          assert(answer === "absent" || put.has(name), message);
          if (answer === "absent" && put.delete(name)) evicted++;
        } else {
          user.put(table, ordinal);
          put.add(name);
        }
        assertLessOrEqual(user.cache.bytes, capacity, message);
      }
      assertGreater(evicted, 0, `seed ${seed}`);
      assertGreater(found, 100, `seed ${seed}`);
    }
  },
);

test("what fits stays: a working set within the capacity is read once", () => {
  const user = newUser(MIB);
  for (let i = 0; i < 200; i++) user.touch(2, i, BLOCK_BYTES);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 200; i++) {
      assert(user.touch(2, i, BLOCK_BYTES), `round ${round}, block ${i}`);
    }
  }
});

test("hot blocks stay while cold ones stream through", () => {
  const user = newUser(MIB);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 64; i++) user.touch(2, i, BLOCK_BYTES);
  }
  let misses = 0;
  for (let i = 0; i < 5000; i++) {
    user.touch(4, i, BLOCK_BYTES);
    if (!user.touch(2, i % 64, BLOCK_BYTES)) misses++;
  }
  assertLessOrEqual(misses, 100);
});

test("the cache follows a working set that moves", () => {
  const user = newUser(MIB);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 200; i++) user.touch(2, i, BLOCK_BYTES);
  }
  let hits = 0;
  for (let round = 0; round < 20; round++) {
    hits = 0;
    for (let i = 0; i < 150; i++) if (user.touch(4, i, BLOCK_BYTES)) hits++;
  }
  assertGreaterOrEqual(
    hits,
    140,
    "of 150 blocks, in the twentieth round over them",
  );
});

test("of a skewed load more is found than by taking turns", () => {
  const user = newUser(MIB);
  const random = new Random(3);
  let hits = 0;
  const draws = 40_000;
  for (let i = 0; i < draws; i++) {
    // Each block of 2,000 a little more often than the next: one in 9 fits.
    const ordinal = Math.floor(2000 ** (random.below(1e6) / 1e6)) - 1;
    if (user.touch(3, ordinal, BLOCK_BYTES)) hits++;
  }
  // The most frequent blocks that fit are asked for in 71 % of the draws.
  assertGreater(hits / draws, 0.6);
});

test("a block is still there until its segment is used anew", () => {
  const user = newUser(256 * 1024);
  const { cache } = user;
  user.put(2, 0);
  assert(cache.find(user.table(2), 0, false));
  const { segment, generation, source, start, length } = cache;
  const before = source.slice(start, start + length);
  let puts = 0;
  while (cache.isStill(segment, generation)) {
    assertEquals(source.slice(start, start + length), before);
    user.touch(4, ++puts);
    user.touch(4, puts); // What is used moves on, and others make way.
    assertLess(puts, 1000);
  }
  assertGreater(puts, 20);
  assertEquals(user.get(2, 0), "absent");
});

test("a segment whose generation has come round is not taken for what it held", () => {
  const user = newUser(256 * 1024);
  const { cache } = user;
  user.put(2, 0);
  assertEquals(user.get(2, 0), "whole"); // Where it is, is noted now.
  const { segment, generation } = cache;
  for (let i = 1; i < 1000; i++) {
    user.touch(4, i);
    user.touch(4, i); // What is used moves on, and others make way.
  }
  assert(!cache.isStill(segment, generation));
  assert(cache.memory !== undefined);
  const { words, generations } = new CacheMemory(cache.memory);
  // As it is after 2^20 uses of the segment.
  const state = words[generations + segment] & 15;
  words[generations + segment] = (generation & ~15) | state;
  assertEquals(user.get(2, 0), "absent");
});

test("nobody's lock is not given up", () => {
  const user = newUser(256 * 1024);
  warmUp(user);
  const { bytes } = user.cache;
  user.cache.abandon(0);
  assertEquals(user.cache.bytes, bytes);
});

test("another thread's cache over the same memory sees the same blocks", () => {
  const one = newUser(MIB);
  const two = new CacheUser(BlockCache.attach(one.cache.memory!)); // not off
  assertStrictEquals(two.cache.memory, one.cache.memory);
  assertEquals(two.cache.capacity, MIB);
  assert(one.cache.holder !== two.cache.holder);
  one.put(1, 1);
  two.put(2, 2);
  assertEquals([one.get(2, 2), two.get(1, 1)], ["whole", "whole"]);
  assertEquals(one.cache.bytes, two.cache.bytes);
  assertEquals([one.cache.hits, two.cache.hits], [1, 1]);
});

test("the memory of a cache that has ended is the next one's of that shape, empty", () => {
  const capacity = MIB + 320; // No other test's.
  const one = newUser(capacity);
  warmUp(one);
  const { memory } = one.cache;
  one.cache.end();
  assert(new BlockCache(capacity, 16 * 1024).memory !== memory);
  const two = newUser(capacity);
  assertStrictEquals(two.cache.memory, memory);
  assertEquals(two.cache.bytes, 0);
  assert(
    two.cache.holder > one.cache.holder,
    "a holder's number was given again",
  );
  for (let i = 0; i < 200; i++) {
    assertEquals(two.get(2, i, LENGTH_MAX), "absent");
  }
  warmUp(two);
  assertEquals(two.get(2, 199, LENGTH_MAX), "whole");
  assert(newUser(capacity).cache.memory !== memory);
});

test("memory that is no cache is refused", () => {
  assertThrows(() => BlockCache.attach(new SharedArrayBuffer(4096)), TypeError);
});

/** Fills a cache of one shard with blocks and uses some of them. */
function warmUp(user: CacheUser): void {
  for (let i = 0; i < 300; i++) user.touch(2, i % 200, LENGTH_MAX);
}

/** Puts a block in: if it is passed by the first time, its ghost is known the second time. */
function insertTwice(user: CacheUser, source: Uint8Array): void {
  for (let i = 0; i < 2; i++) {
    user.cache.insert(user.table(1), 1, source, 0, 100);
  }
}

test("where hardly a block is asked for again, few are put in; those that are, the next time", () => {
  const user = newUser(256 * 1024);
  /** Whether a block is there, without a hit. */
  const holds = (table: number, ordinal: number) =>
    user.cache.find(user.table(table), ordinal, false);
  warmUp(user);
  let taken = 0;
  for (let i = 0; i < 2000; i++) {
    user.put(3, i, LENGTH_MAX);
    if (i >= 1000 && holds(3, i)) taken++;
  }
  assertGreater(taken, 50);
  assertLess(taken, 300);
  for (let i = 0; i < 2; i++) user.put(4, 0, LENGTH_MAX);
  assert(holds(4, 0), "its ghost was known");
  // It does not stay so, once a few blocks are asked for over and over.
  for (let i = 0; i < 3000; i++) user.touch(5, i % 20, LENGTH_MAX);
  for (let i = 0; i < 20; i++) assert(holds(5, i));
});

test("while one thread puts a block in, others read and put nothing in", () => {
  const one = newUser(256 * 1024);
  const two = new CacheUser(BlockCache.attach(one.cache.memory!)); // not off
  one.put(1, 0);
  const bytes = contentOf(1, 1);
  const source = trap(bytes, () => {
    assertEquals(two.get(1, 0), "whole");
    two.put(1, 2);
    assertEquals(two.get(1, 2), "absent");
    assertEquals(two.get(1, 1), "absent");
  });
  one.cache.insert(one.table(1), 1, source, 0, bytes.length);
  assertEquals(two.get(1, 1), "whole");
  two.put(1, 2);
  assertEquals(one.get(1, 2), "whole");
});

test("an insert that ends in an exception does no harm", () => {
  const user = newUser(256 * 1024);
  warmUp(user);
  const source = trap(contentOf(1, 1), () => {
    throw new RangeError("made by the test");
  });
  assertThrows(() => insertTwice(user, source), RangeError);
  assertEquals(user.get(1, 1), "absent");
  warmUp(user);
  assertGreater(user.cache.bytes, 100_000);
  for (let i = 0; i < 200; i++) {
    assert(["whole", "absent"].includes(user.get(2, i, LENGTH_MAX)));
  }
});

test("a holder that died is given up: the shard is emptied and used again, but for what it was writing to", () => {
  const one = newUser(256 * 1024);
  const two = new CacheUser(BlockCache.attach(one.cache.memory!)); // not off
  const die = () => {
    const source = trap(contentOf(1, 1), () => {
      throw new RangeError("made by the test");
    });
    assertThrows(() => insertTwice(two, source), RangeError);
  };
  warmUp(one);
  const full = one.cache.bytes;
  die();
  const left = one.cache.bytes;
  one.put(1, 5);
  assertEquals(one.get(1, 5), "absent"); // The lock is still held.
  one.cache.abandon(two.cache.holder + 1); // Somebody else: nothing happens.
  assertEquals(one.cache.bytes, left);
  one.cache.abandon(two.cache.holder);
  assertEquals(one.cache.bytes, 0);
  warmUp(one);
  const { bytes } = one.cache;
  assertGreater(bytes, full / 2);
  assertLess(bytes, full * 0.95);
  // Once more, after it was given up: this thread finds the lock by itself.
  die();
  one.put(1, 5);
  assertEquals(one.cache.bytes, 0);
  one.put(1, 5);
  assertEquals(one.get(1, 5), "whole");
});

test("a holder that is given up and goes on all the same harms no block", () => {
  for (let seed = 1; seed <= 30; seed++) {
    const one = newUser(256 * 1024);
    const two = new CacheUser(BlockCache.attach(one.cache.memory!)); // not off
    const random = new Random(seed);
    for (let i = 0; i < random.below(400); i++) {
      one.touch(2, random.below(300), LENGTH_MAX);
    }
    // In the middle of its insert, and so before it writes its bytes,
    // publishes its block and lets go of a lock that is another's now.
    const late = new Uint8Array(LENGTH_MAX).fill(0xee);
    const source = trap(late, () => {
      one.cache.abandon(two.cache.holder);
      for (let i = 0; i < 200; i++) one.touch(2, i, LENGTH_MAX);
      const inner = trap(contentOf(2, 999, LENGTH_MAX), () => {
        // The late holder's release is tried while `one` has the lock.
        Atomics.store(words, LINE_WORDS, one.cache.holder);
      });
      one.cache.insert(one.table(2), 999, inner, 0, LENGTH_MAX);
      Atomics.store(words, LINE_WORDS, one.cache.holder);
    });
    const words = new Int32Array(one.cache.memory!); // not off
    two.cache.insert(two.table(1), 1, source, 0, LENGTH_MAX);
    assertEquals(words[LINE_WORDS], one.cache.holder, `seed ${seed}`);
    Atomics.store(words, LINE_WORDS, 0);
    // It noticed, and keeps to reading.
    two.put(6, 1);
    assertEquals(one.get(6, 1), "absent", `seed ${seed}`);
    // What it published lies in a segment that is lost.
    assertEquals(one.get(1, 1, LENGTH_MAX), "absent");
    for (let i = 0; i < 2000; i++) {
      const table = random.chance(50) ? 2 : 4;
      one.touch(table, random.below(300), LENGTH_MAX);
      two.touch(table, random.below(300), LENGTH_MAX);
    }
    assertGreater(one.cache.bytes, 100_000, `seed ${seed}`);
  }
});

test("when every segment is lost the cache keeps nothing, and says so", () => {
  const one = newUser(64 * 1024);
  for (let round = 0; round < 20; round++) {
    const two = new CacheUser(BlockCache.attach(one.cache.memory!)); // not off
    const source = trap(contentOf(1, 1), () => {
      throw new RangeError("made by the test");
    });
    const insert = () => two.cache.insert(two.table(1), 1, source, 0, 100);
    if (round < 2) assertThrows(insert, RangeError);
    try {
      insert();
    } catch (error) {
      assert(error instanceof RangeError);
    }
    one.cache.abandon(two.cache.holder);
  }
  one.put(1, 0);
  assertEquals(one.get(1, 0), "absent");
  assertEquals(one.cache.bytes, 0);
  assertFalse(one.cache.find(one.table(2), 0, true));
});

test("a holder that is given up while it makes room, and goes on, harms no block", () => {
  let interrupted = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const one = newUser(256 * 1024);
    const memory = one.cache.memory!; // not off
    const two = new CacheUser(BlockCache.attach(memory));
    const random = new Random(seed);
    for (let i = 0; i < 300 + random.below(300); i++) {
      one.touch(2, random.below(150), LENGTH_MAX);
    }
    // It moves blocks by `copyWithin`, here that of its own view.
    const { views } = two.cache as unknown as {
      views: { bytes: Uint8Array[] };
    };
    const [bytes] = views.bytes;
    let isDue = true;
    bytes.copyWithin = (target, start, end) => {
      if (isDue) {
        isDue = false;
        interrupted++;
        one.cache.abandon(two.cache.holder);
        for (let i = 0; i < 300; i++) {
          one.touch(2, random.below(150), LENGTH_MAX);
        }
      }
      return Uint8Array.prototype.copyWithin.call(bytes, target, start, end);
    };
    for (let i = 0; i < 800; i++) {
      for (const user of [one, two]) {
        user.touch(random.chance(50) ? 2 : 4, random.below(150), LENGTH_MAX);
      }
    }
    assertGreater(one.cache.bytes, 0, `seed ${seed}`);
  }
  assertGreater(interrupted, 30);
});
