/** When what was written to a file is durable. */
import { describe, test } from "node:test";
import type { VarveError } from "../../lib/errors.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "../assert.ts";
import { type BootedFiles, Disk, type DiskHooks, type Fault } from "./disk.ts";
import { everyOutcome } from "./every_roll.ts";

const PATH = "/db/f";

/** No dice are needed for the two extremes. */
const NO_DICE = {
  below: (): number => {
    throw new Error("a die is thrown");
  },
};

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** A disk with an empty file whose entry is durable, open for writing. */
function start(hooks: DiskHooks = {}) {
  const disk = new Disk();
  const files: BootedFiles = disk.boot(hooks);
  files.makeDirectory("/db");
  const file = files.open(PATH, "create");
  files.syncDirectory("/db");
  return { disk, files, file };
}

/** What the file is after a power loss that takes all that it can. */
function durable(disk: Disk): Uint8Array {
  const fork = disk.fork();
  fork.powerLoss(NO_DICE, "lose-all");
  return fork.readFile(PATH);
}

/** A syncTime that ends the syncs when it is told to, in any order. */
function manual() {
  const ends: (() => void)[] = [];
  const hooks: DiskHooks = {
    syncTime: () => new Promise((resolve) => ends.push(resolve)),
  };
  return { ends, hooks };
}

/** Hooks that make syncs fail, by their number; 0 is the first. */
function failing(fault: Fault, ...syncs: number[]): DiskHooks {
  let count = 0;
  return {
    before: ({ kind }) =>
      kind === "sync" && syncs.includes(count++) ? fault : undefined,
  };
}

describe("a sync", () => {
  test("makes data and length durable, and nothing before", () => {
    const { disk, file } = start();
    file.writeAt(bytes(1, 2, 3), 0);
    assertEquals(durable(disk), bytes());
    file.syncNow();
    file.writeAt(bytes(9), 1);
    file.writeAt(bytes(4, 5), 3);
    assertEquals(durable(disk), bytes(1, 2, 3));
    file.syncNow();
    assertEquals(durable(disk), bytes(1, 9, 3, 4, 5));
  });

  test("is for what was written when it was called, and counts when it ends", async () => {
    const { ends, hooks } = manual();
    const { disk, file } = start(hooks);
    file.writeAt(bytes(1, 2), 0);
    const sync = file.sync();
    file.writeAt(bytes(7, 8, 9), 1);
    assertEquals(durable(disk), bytes());
    ends[0]?.();
    await sync;
    assertEquals(durable(disk), bytes(1, 2));
    assertFalse(disk.isClean);
    file.syncNow();
    assertEquals(durable(disk), bytes(1, 7, 8, 9));
    assert(disk.isClean);
  });

  test("ends those that were called before it, and no later one", async () => {
    const { ends, hooks } = manual();
    const { disk, file } = start(hooks);
    const syncs = [1, 2, 3].map((value, i) => {
      file.writeAt(bytes(value), i);
      return file.sync();
    });
    ends[1]?.();
    await syncs[1];
    assertEquals(durable(disk), bytes(1, 2));
    ends[0]?.(); // Late: it brings back no older state.
    await syncs[0];
    assertEquals(durable(disk), bytes(1, 2));
    ends[2]?.();
    await syncs[2];
    assertEquals(durable(disk), bytes(1, 2, 3));
  });

  test("that is late does not bring back older bytes", async () => {
    const { ends, hooks } = manual();
    const { disk, file } = start(hooks);
    file.writeAt(bytes(1, 1), 0);
    const sync = file.sync();
    file.writeAt(bytes(2), 1);
    file.syncNow();
    ends[0]?.();
    await sync;
    assertEquals(durable(disk), bytes(1, 2));
  });

  test("goes on after the file is closed, renamed and removed", async () => {
    const { ends, hooks } = manual();
    const { disk, files, file } = start(hooks);
    file.writeAt(bytes(1), 0);
    const sync = file.sync();
    file.close();
    files.rename(PATH, "/db/g");
    files.remove("/db/g");
    ends[0]?.();
    await sync;
    assertEquals(durable(disk), bytes(1)); // Neither is synced.
  });

  test("of one that was opened for reading saves what others wrote", () => {
    const { disk, files, file } = start();
    file.writeAt(bytes(1), 0);
    files.open(PATH, "read").syncNow();
    assertEquals(durable(disk), bytes(1));
  });

  test("leaves no history", () => {
    const { disk, file } = start();
    file.writeAt(bytes(1), 0);
    file.syncNow();
    file.writeAt(bytes(0), 0);
    file.syncNow();
    const other = start();
    other.file.writeAt(bytes(0), 0);
    other.file.syncNow();
    assertEquals(disk.hash(), other.disk.hash());
  });

  test("of an unchanged file changes nothing, and can lose nothing", () => {
    const lost: Fault = { kind: "lostSync", code: "EIO" };
    const { disk, file } = start(failing(lost, 2));
    file.writeAt(bytes(1), 0);
    file.syncNow();
    const hash = disk.hash();
    file.syncNow();
    assertThrows(() => file.syncNow());
    assertEquals(disk.hash(), hash);
    assert(disk.isClean);
    assertEquals(durable(disk), bytes(1));
  });

  test("under way at a power loss may have saved any part", () => {
    const { hooks } = manual();
    const { disk, file } = start(hooks);
    file.writeAt(bytes(1, 2), 0);
    const sync = file.sync();
    sync.catch(() => {});
    file.writeAt(bytes(3), 2);
    const outcomes = everyOutcome((dice) => {
      const fork = disk.fork();
      fork.powerLoss(dice);
      return fork.readFile(PATH).join("");
    });
    for (const part of ["", "1", "12", "02", "123", "003", "000"]) {
      assert(outcomes.includes(part), part);
    }
  });
});

test("a writer may use its buffer again", () => {
  const { disk, file } = start();
  const buffer = new Uint8Array(3 * 4096).fill(1);
  file.writeAt(buffer, 0);
  buffer.fill(2);
  assertEquals(disk.readFile(PATH), new Uint8Array(3 * 4096).fill(1));
  file.syncNow();
  buffer.fill(3);
  assertEquals(durable(disk), new Uint8Array(3 * 4096).fill(1));
});

describe("a sync that fails", () => {
  const lost: Fault = { kind: "lostSync", code: "EIO" };

  test("and loses its pages: reads show them, a retry saves nothing", () => {
    const { disk, files, file } = start(failing(lost, 0));
    file.writeAt(bytes(1, 2), 0);
    const error = assertThrows(() => file.syncNow()) as VarveError;
    assertStrictEquals(error.code, "IO");
    assertEquals(error.message.includes("cannot sync /db/f: EIO"), true);
    assertFalse(disk.isClean);
    file.syncNow();
    assertEquals(durable(disk), bytes());
    assertFalse(disk.isClean); // A power loss takes what reads show.
    file.writeAt(bytes(3), 2);
    file.syncNow();
    assertEquals(durable(disk), bytes(0, 0, 3));
    const into = new Uint8Array(3);
    files.open(PATH, "read").readAt(into, 0);
    assertEquals(into, bytes(1, 2, 3));
  });

  test("and loses its pages: the next process sees them, unless the cache is dropped", () => {
    const { disk, file } = start(failing(lost, 0));
    file.writeAt(bytes(1, 2), 0);
    assertThrows(() => file.syncNow());
    file.writeAt(bytes(3), 2);
    disk.killProcess();
    assertEquals(disk.readFile(PATH), bytes(1, 2, 3));
    disk.boot().open(PATH, "read").syncNow();
    assertEquals(durable(disk), bytes(0, 0, 3));
    assertEquals(disk.readFile(PATH), bytes(1, 2, 3));
    disk.killProcess("dropped");
    assertEquals(disk.readFile(PATH), bytes(0, 0, 3));
    assert(disk.isClean);
  });

  test("and loses its pages: the dirty ones stay when the cache is dropped", () => {
    const { disk, file } = start(failing(lost, 0));
    file.writeAt(bytes(1, 2), 0);
    assertThrows(() => file.syncNow());
    file.writeAt(bytes(3), 1);
    disk.killProcess("dropped");
    assertEquals(disk.readFile(PATH), bytes(0, 3));
    assertEquals(durable(disk), bytes());
    disk.boot().open(PATH, "read").syncNow();
    assertEquals(durable(disk), bytes(0, 3));
  });

  test("and loses its pages: some may have reached the disk, none is kept for sure", () => {
    const { disk, file } = start(failing(lost, 0));
    file.writeAt(bytes(1), 0);
    assertThrows(() => file.syncNow());
    const outcomes = everyOutcome((dice) => {
      const fork = disk.fork();
      fork.powerLoss(dice);
      return fork.readFile(PATH).join("");
    });
    assertEquals(outcomes, ["", "0", "1"]);
    disk.powerLoss(NO_DICE, "keep-all");
    assertEquals(disk.readFile(PATH), bytes());
  });

  test("aside: loses its pages when it ends, not those written meanwhile", async () => {
    const { ends, hooks } = manual();
    const { disk, file } = start({ ...hooks, ...failing(lost, 0) });
    file.writeAt(bytes(1), 0);
    const sync = file.sync();
    file.writeAt(bytes(2), 1);
    ends[0]?.();
    await assertRejects(() => sync, Error, "EIO");
    file.syncNow();
    assertEquals(durable(disk), bytes(0, 2));
  });

  test("aside: takes no pages of a sync that was called before it and succeeds", async () => {
    const { ends, hooks } = manual();
    const { disk, file } = start({ ...hooks, ...failing(lost, 1) });
    file.writeAt(bytes(1), 0);
    const first = file.sync();
    file.writeAt(bytes(2), 1);
    const second = file.sync();
    ends[1]?.();
    await assertRejects(() => second, Error, "EIO");
    assertEquals(durable(disk), bytes(1));
    ends[0]?.();
    await first;
    file.syncNow();
    assertEquals(durable(disk), bytes(1));
  });

  test("hides behind a later one that succeeds and saves nothing of its", async () => {
    const { ends, hooks } = manual();
    const { disk, file } = start({ ...hooks, ...failing(lost, 0) });
    file.writeAt(bytes(1), 0);
    const first = file.sync();
    const second = file.sync();
    ends[1]?.();
    await second;
    assertEquals(durable(disk), bytes());
    ends[0]?.();
    await assertRejects(() => first, Error, "EIO");
  });

  test("for want of room leaves its pages dirty: a retry saves them", async () => {
    const hooks = failing({ kind: "error", code: "ENOSPC" }, 0, 1);
    const { disk, file } = start(hooks);
    file.writeAt(bytes(1), 0);
    assertThrows(() => file.syncNow(), Error, "cannot sync /db/f: ENOSPC");
    await assertRejects(() => file.sync(), Error, "cannot sync /db/f: ENOSPC");
    assertEquals(durable(disk), bytes());
    file.syncNow();
    assertEquals(durable(disk), bytes(1));
  });

  test("silently, saves nothing and leaves its pages dirty", async () => {
    const { disk, file } = start(failing({ kind: "ignoredSync" }, 0, 1));
    file.writeAt(bytes(1), 0);
    file.syncNow();
    await file.sync();
    assertEquals(durable(disk), bytes());
    file.syncNow();
    assertEquals(durable(disk), bytes(1));
  });
});
