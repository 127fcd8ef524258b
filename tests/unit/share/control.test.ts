/** The control block: the state, leases, cells, and the step that both sides take together. */
import { test } from "node:test";
import {
  CLOSED_VERSION,
  ControlBlock,
  type Lease,
  makeControlMemory,
  VERSION,
} from "../../../lib/share/control.ts";
import { assert, assertEquals, assertGreater } from "../../assert.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { died, interrupted } from "../support/atomics.ts";

const MEMTABLES = 5;
const ARENAS = 7;

function newBlock(): ControlBlock {
  const memory = makeControlMemory(MEMTABLES, ARENAS);
  return new ControlBlock(memory, MEMTABLES, ARENAS);
}

function listed(count: number) {
  return Array.from({ length: count }, (_, i) => ({
    arena: i,
    use: 100 + i,
    oldest: 2 ** 40 + i,
    newest: i === 0 ? 0 : 2 ** 47 - i,
  }));
}

test("a state comes back as it was published, with sequences of any size", () => {
  const owner = newBlock();
  const reader = new ControlBlock(owner.memory, MEMTABLES, ARENAS);
  assert(reader.isOne);
  for (
    const sequence of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 47 + 2 ** 31]
  ) {
    for (const count of [0, 1, MEMTABLES]) {
      const state = {
        manifest: 2 ** 45,
        manifestLength: 2 ** 34 + 1,
        memtables: listed(count),
      };
      const before = reader.settledVersion();
      owner.publish(state, sequence);
      assert(reader.settledVersion() !== before);
      const { sequenceBase, ...read } = reader.readState();
      assertEquals(read, state);
      assertEquals(sequenceBase + reader.sequenceLow(), sequence);
    }
  }
});

test("a sequence is published without a change of the state", () => {
  const owner = newBlock();
  owner.publish({ manifest: 1, manifestLength: 2, memtables: [] }, 2 ** 32);
  const version = owner.settledVersion();
  owner.publishSequence(2 ** 32 + 2 ** 31 + 5);
  assertEquals(owner.sequenceLow(), 2 ** 31 + 5);
  assertEquals(owner.settledVersion(), version);
});

test("versions go on past the greatest", () => {
  const owner = newBlock();
  const state = { manifest: 1, manifestLength: 2, memtables: [] };
  owner.words[VERSION] = 0x7fff_fffe;
  owner.publish(state, 1);
  assertEquals(owner.settledVersion(), 0);
  owner.publish(state, 1);
  assertEquals(owner.settledVersion(), 2);
});

test("a closed database has no state any more", () => {
  const owner = newBlock();
  owner.close();
  assertEquals(owner.settledVersion(), CLOSED_VERSION);
});

test("the state and the uses of arenas do not touch each other, nor leases and cells", () => {
  const owner = newBlock();
  const { words, uses } = owner;
  for (let i = 0; i < ARENAS; i++) words[uses + i] = 1000 + i;
  const lease = owner.claimLease(7);
  const cell = owner.claimCell(lease.token, () => 77);
  owner.publish({
    manifest: 1,
    manifestLength: 2,
    memtables: listed(MEMTABLES),
  }, 9);
  assertEquals(owner.readState().memtables, listed(MEMTABLES));
  const seen = Array.from(words.subarray(uses, uses + ARENAS));
  assertEquals(seen, [1000, 1001, 1002, 1003, 1004, 1005, 1006]);
  assert(owner.isLeased(lease));
  assertEquals(owner.readCells(), [77]);
  assertEquals(cell.sequence, 77);
});

test("a cell that is claimed while the owner looks at cells reads its sequence again", () => {
  const block = newBlock();
  const { token } = block.claimLease(7);
  let published = 10;
  let reads = 0;
  const { sequence } = block.claimCell(token, () => {
    const read = published;
    if (++reads <= 2) {
      // The owner looks, and goes on, before the cell is stored.
      block.readCells();
      published += 10;
    }
    return read;
  });
  assertEquals(reads, 3);
  assertEquals(sequence, 30);
  assertEquals(block.readCells(), [30]);
});

test("a cell is given back once, and by its own lease only", () => {
  const block = newBlock();
  const one = block.claimLease(7);
  const other = block.claimLease(7);
  assert(one.token !== other.token);
  const { word } = block.claimCell(one.token, () => 5);
  block.freeCell(word, other.token);
  assertEquals(block.readCells(), [5]);
  block.freeCell(word, one.token);
  block.freeCell(word, one.token);
  assertEquals(block.readCells(), []);
  assertEquals(block.cellCount, 0);
  const again = block.claimCell(other.token, () => 2 ** 40 + 6);
  assertEquals(again.word, word);
  block.freeCell(word, one.token);
  assertEquals(block.readCells(), [2 ** 40 + 6]);
});

test("a sequence that cannot be read leaves no cell claimed", () => {
  const block = newBlock();
  const { token } = block.claimLease(7);
  throwsWith("BUSY", () => {
    block.claimCell(token, () => {
      // Any error does; this one is at hand.
      for (;;) block.claimLease(7);
    });
  });
  assertEquals(block.cellCount, 0);
  assertEquals(block.readCells(), []);
});

test("the end of a lease frees its cells and no others", () => {
  const block = newBlock();
  const one = block.claimLease(7);
  const other = block.claimLease(7);
  for (let i = 1; i <= 6; i++) {
    block.claimCell((i % 2 === 0 ? one : other).token, () => i);
  }
  assertEquals(block.readCells().sort(), [1, 2, 3, 4, 5, 6]);
  block.endLease(one);
  block.endLease(one);
  assert(!block.isLeased(one));
  assert(block.isLeased(other));
  assertEquals(block.readCells().sort(), [1, 3, 5]);
  assertEquals(block.cellCount, 3);
  const next = block.claimLease(7);
  assertEquals(next.word, one.word);
  assert(next.token !== one.token);
  assert(!block.isLeased(one));
});

test("leases are listed with their counters", () => {
  const block = newBlock();
  const lease = block.claimLease(7);
  block.words[lease.sign] = 42;
  assertEquals(block.listLeases(), [{ lease, counter: 42, holder: 7 }]);
  block.endLease(lease);
  assertEquals(block.listLeases(), []);
});

test("a reader whose lease had expired stored its sequence in the cell of the next one", () => {
  let points = 0;
  for (let nth = 1;; nth++) {
    const block = newBlock();
    let published = 10;
    const late = block.claimLease(7);
    // It had the same cell before.
    block.freeCell(block.claimCell(late.token, () => 5).word, late.token);
    const isCut = interrupted(nth, () => {
      block.endLease(late);
      const next = block.claimLease(8);
      block.claimCell(next.token, () => published);
      published += 10;
      block.readCells(); // The late one reads its sequence anew.
    }, () => {
      const { word } = block.claimCell(late.token, () => published);
      if (!block.isLeased(late)) block.freeCell(word, late.token);
    });
    if (!isCut) break;
    points++;
    assert(block.readCells().includes(10), `operation ${nth}`);
    block.takeBackStrays();
    assertEquals(block.readCells(), [10], `operation ${nth}`);
    assertEquals(block.cellCount, 1);
  }
  assertGreater(points, 7);
});

test("a reader whose lease had expired stored its name in the lease of the next one", () => {
  let points = 0;
  for (let nth = 1;; nth++) {
    const block = newBlock();
    const isCut = interrupted(nth, () => {
      for (const { lease } of block.listLeases()) block.endLease(lease);
      block.claimLease(8);
    }, () => block.claimLease(7));
    if (!isCut) break;
    points++;
    const holders = block.listLeases().map(({ holder }) => holder);
    assert(holders.includes(8), `operation ${nth}: ${holders}`);
  }
  assertGreater(points, 1);
});

test("a thread that died left cells for ever, where its lease had ended before", () => {
  const uses: [string, (block: ControlBlock, lease: Lease) => void][] = [
    ["claims another cell", (block, lease) => {
      block.claimCell(lease.token, () => 6);
    }],
    ["claims another cell, too late", (block, lease) => {
      block.endLease(lease);
      block.claimCell(lease.token, () => 6);
    }],
    ["ends its lease", (block, lease) => {
      block.endLease(lease);
    }],
  ];
  for (const [what, use] of uses) {
    let points = 0;
    for (let nth = 1; nth < 100; nth++) {
      const block = newBlock();
      const alive = block.claimLease(7);
      block.claimCell(alive.token, () => 4);
      const lease = block.claimLease(8);
      for (let i = 0; i < 3; i++) block.claimCell(lease.token, () => 5);
      if (!died(nth, () => use(block, lease))) break;
      points++;
      block.takeBackStrays();
      // The owner's part, where the lease is there still.
      block.endLease(lease);
      assertEquals(block.readCells(), [4], `${what}, operation ${nth}`);
      assertEquals(block.cellCount, 1);
    }
    assertGreater(points, 5, what);
  }
});

test("tokens go on past the greatest, without those that mean something else", () => {
  const block = newBlock();
  const [first] = [block.claimLease(7)];
  block.endLease(first);
  const at = block.words.indexOf(first.token);
  assert(at > 0);
  block.words[at] = -3;
  const tokens = [0, 1, 2].map(() => block.claimLease(7).token);
  assertEquals(tokens, [-2, 1, 2]);
});
