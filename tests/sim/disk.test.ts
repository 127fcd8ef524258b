/** Boots, the death of processes, forks, and a database on the disk. */
import { describe, test } from "node:test";
import { memoryRuntime } from "../../lib/runtime/memory.ts";
import type { FileSystem } from "../../lib/runtime/runtime.ts";
import type { Db } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertFalse,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "../assert.ts";
import { Random } from "../engine/support/random.ts";
import { openWith } from "../open.ts";
import { type BootedFiles, Disk, PowerLoss } from "./disk.ts";

const NO_DICE = {
  below: (): number => {
    throw new Error("a die is thrown");
  },
};

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** A disk with the directory /db. */
function start(): { disk: Disk; files: BootedFiles } {
  const disk = new Disk();
  const files = disk.boot();
  files.makeDirectory("/db");
  return { disk, files };
}

describe("a boot", () => {
  test("ends the one before it, with its handles and locks", async () => {
    const { disk, files } = start();
    const file = files.open("/db/f", "create");
    file.writeAt(bytes(1), 0);
    const lock = await files.lock("/db/LOCK");
    const next = disk.boot();
    assert(files.hasEnded);
    assertFalse(next.hasEnded);
    assertThrows(() => file.writeAt(bytes(2), 0), PowerLoss);
    assertThrows(() => files.stat("/db"), PowerLoss);
    await assertRejects(() => file.sync(), PowerLoss);
    await assertRejects(() => files.removeAside("/db/f"), PowerLoss);
    await assertRejects(() => files.lock("/db/LOCK"), PowerLoss);
    const held = await next.lock("/db/LOCK");
    lock.release(); // Not the lock of the next.
    await assertRejects(() => next.lock("/db/LOCK"), Error, "another handle");
    held.release();
    assertEquals(disk.readFile("/db/f"), bytes(1));
  });

  test("knows what is open and locked", async () => {
    const { disk, files } = start();
    const b = files.open("/db/b", "create");
    const a = files.open("/db/a", "create");
    const again = files.open("/db/a", "read");
    const lock = await files.lock("/db/LOCK");
    assertEquals(files.openHandles, ["/db/a", "/db/a", "/db/b"]);
    assertEquals(files.locks, ["/db/LOCK"]);
    a.close();
    a.close();
    files.remove("/db/b"); // It is open all the same.
    assertEquals(files.openHandles, ["/db/a", "/db/b"]);
    lock.release();
    assertEquals(files.locks, []);
    b.close();
    again.close();
    assertEquals(files.openHandles, []);
    files.open("/db/a", "read");
    await files.lock("/db/LOCK");
    disk.killProcess();
    assertEquals(files.openHandles, []);
    assertEquals(files.locks, []);
    assertEquals(disk.boot().openHandles, []);
  });
});

describe("killProcess()", () => {
  test("keeps what was written, as unsynced as it was", () => {
    const { disk, files } = start();
    files.open("/db/f", "create").writeAt(bytes(1), 0);
    const before = disk.hash();
    disk.killProcess();
    assert(files.hasEnded);
    assertEquals(disk.hash(), before);
    assertEquals(disk.boot().list("/db"), ["f"]);
    disk.powerLoss(NO_DICE, "lose-all");
    assertEquals(disk.list(), []);
  });

  test("gives up a sync under way: a later one saves its pages", async () => {
    const disk = new Disk({ syncTime: () => new Promise(() => {}) });
    const files = disk.boot();
    const file = files.open("/f", "create");
    files.syncDirectory("/");
    file.writeAt(bytes(1), 0);
    void file.sync();
    disk.killProcess();
    const next = disk.boot({}).open("/f", "read");
    await next.sync();
    disk.powerLoss(NO_DICE, "lose-all");
    assertEquals(disk.readFile("/f"), bytes(1));
  });

  test("gives up a sync under way that would have failed: its pages are not lost", () => {
    const disk = new Disk({
      before: ({ now }) =>
        now === false ? { kind: "lostSync", code: "EIO" } : undefined,
      syncTime: () => new Promise(() => {}),
    });
    const files = disk.boot();
    const file = files.open("/f", "create");
    files.syncDirectory("/");
    file.writeAt(bytes(1), 0);
    void file.sync();
    disk.killProcess();
    disk.boot().open("/f", "read").syncNow();
    disk.powerLoss(NO_DICE, "lose-all");
    assertEquals(disk.readFile("/f"), bytes(1));
  });
});

describe("powerLoss()", () => {
  test("leaves nothing unsynced, and a second one nothing to decide", () => {
    const { disk, files } = start();
    const file = files.open("/db/f", "create");
    files.syncDirectory("/db");
    file.writeAt(new Uint8Array(9000).fill(7), 0);
    disk.powerLoss(new Random(3));
    assert(files.hasEnded);
    assert(disk.isClean);
    const hash = disk.hash();
    disk.powerLoss(NO_DICE);
    assertEquals(disk.hash(), hash);
  });

  test("that loses or keeps all throws no dice", () => {
    const { disk, files } = start();
    files.open("/db/f", "create").writeAt(bytes(1, 2), 0);
    const kept = disk.fork();
    kept.powerLoss(NO_DICE, "keep-all");
    assertEquals(kept.readFile("/db/f"), bytes(1, 2));
    disk.powerLoss(NO_DICE, "lose-all");
    assertEquals(disk.list(), []);
  });

  test("gives equal disks for equal dice", () => {
    const { disk, files } = start();
    for (let i = 0; i < 20; i++) {
      const file = files.open(`/db/${i}`, "create");
      file.writeAt(new Uint8Array(1000 * i).fill(i), 0);
    }
    const hashes = [1, 1, 2].map((seed) => {
      const fork = disk.fork();
      fork.powerLoss(new Random(seed));
      return fork.hash();
    });
    assertEquals(hashes[0], hashes[1]);
    assertNotEquals(hashes[0], hashes[2]);
  });
});

describe("fork()", () => {
  test("is an equal disk; what happens to one does not show in the other", () => {
    const { disk, files } = start();
    const file = files.open("/db/f", "create");
    file.writeAt(new Uint8Array(10_000).fill(1), 0);
    file.syncNow();
    file.writeAt(bytes(2), 5);
    files.open("/db/g", "create");
    const fork = disk.fork();
    const hash = disk.hash();
    assertEquals(fork.hash(), hash);
    assertEquals(fork.operations, disk.operations);

    const again = disk.fork();
    file.writeAt(bytes(3), 6);
    file.writeAt(bytes(3), 20_000);
    file.syncNow();
    files.rename("/db/g", "/db/h");
    files.syncDirectory("/db");
    disk.flipBit("/db/f", 0);
    assertEquals(fork.hash(), hash);
    const changed = disk.hash();
    assertNotEquals(changed, hash);

    const other = again.boot();
    other.open("/db/f", "read").syncNow();
    other.remove("/db/f");
    other.syncDirectory("/db");
    again.writeFile("/db/g", bytes(9));
    again.powerLoss(NO_DICE, "lose-all");
    assertEquals(disk.hash(), changed);
    assertEquals(fork.hash(), hash);
    assertEquals(fork.readFile("/db/f")[5], 2);
  });

  test("in a hook is the disk before the operation, and asks no hook", () => {
    const lengths: number[] = [];
    const disk = new Disk({
      before: ({ kind }) => {
        if (kind !== "write") return undefined;
        const fork = disk.fork();
        lengths.push(fork.list()[0]?.length ?? -1);
        fork.boot().open("/f", "read").size();
        return undefined;
      },
    });
    const file = disk.boot().open("/f", "create");
    file.writeAt(bytes(1), 0);
    file.writeAt(bytes(1, 2), 1);
    assertEquals(lengths, [0, 1]);
  });

  test("has no sync under way", async () => {
    let end = () => {};
    const disk = new Disk({
      syncTime: () => new Promise((resolve) => end = resolve),
    });
    const files = disk.boot();
    const file = files.open("/f", "create");
    files.syncDirectory("/");
    file.writeAt(bytes(1), 0);
    const sync = file.sync();
    const fork = disk.fork();
    end();
    await sync;
    fork.powerLoss(NO_DICE, "lose-all");
    disk.powerLoss(NO_DICE, "lose-all");
    assertEquals(fork.readFile("/f"), bytes());
    assertEquals(disk.readFile("/f"), bytes(1));
  });

  test("takes memory for what is changed only", () => {
    const { disk, files } = start();
    const file = files.open("/db/f", "create");
    file.writeAt(new Uint8Array(8 * 1024 * 1024), 0);
    file.syncNow();
    // 16 GiB, if they were copies.
    const forks = Array.from({ length: 2000 }, (_, i) => {
      const fork = disk.fork();
      file.writeAt(bytes(i), 1000);
      file.syncNow();
      return fork;
    });
    const into = bytes(0);
    for (const [i, fork] of forks.entries()) {
      fork.boot().open("/db/f", "read").readAt(into, 1000);
      assertEquals(into, bytes(Math.max(0, i - 1)));
    }
  });
});

// --- A database ---

function openOn(files: FileSystem): Promise<Db> {
  return openWith({ ...memoryRuntime(), files }, "/data/db", {
    writeBufferSize: 16 * 1024,
    blockCacheSize: 0,
    compaction: { background: "inline" },
  });
}

/** Writes, flushes and reopens; tells after each acknowledgement how far it came. */
async function work(disk: Disk, acknowledge: (n: number) => void) {
  for (let life = 0, n = 0; life < 3; life++) {
    const db = await openOn(disk.boot());
    for (let i = 0; i < 40; i++) {
      await db.put(`key ${n % 30}`, `${n}`);
      acknowledge(++n);
      if (i % 15 === 14) await db.flush();
    }
    if (life === 1) disk.killProcess();
    else await db.close();
  }
}

/** The highest number in the database, all of whose predecessors it must have. */
function check(db: Db): number {
  const decoder = new TextDecoder();
  const found = new Map<string, number>();
  for (const [key, value] of db.scan()) {
    found.set(decoder.decode(key), Number(decoder.decode(value)));
  }
  const last = Math.max(-1, ...found.values()) + 1;
  for (let n = Math.max(0, last - 30); n < last; n++) {
    assertEquals(found.get(`key ${n % 30}`), n);
  }
  return last;
}

describe("a database on the disk", () => {
  test("has all that was acknowledged, after a power loss at any operation", async () => {
    const forks: [fork: Disk, acknowledged: number][] = [];
    let acknowledged = 0;
    const disk = new Disk({
      before: ({ mutates }) => {
        if (mutates) forks.push([disk.fork(), acknowledged]);
        return undefined;
      },
    });
    await work(disk, (n) => acknowledged = n);
    assertEquals(acknowledged, 120);
    assert(forks.length > 300, `${forks.length} states`);
    const dice = new Random(5);
    let kept = 0;
    for (const [fork, acknowledged] of forks) {
      fork.powerLoss(dice);
      const files = fork.boot();
      const db = await openOn(files);
      const last = check(db);
      assert(last === acknowledged || last === acknowledged + 1, `${last}`);
      if (last > acknowledged) kept++;
      await db.close();
      assertEquals(files.openHandles, []);
      assertEquals(files.locks, []);
    }
    assert(kept > 0, "no unsynced write ever survived");
  });

  test("loses what was acknowledged if syncs are ignored", async () => {
    const disk = new Disk({
      before: ({ kind, path }) =>
        kind === "sync" && path.endsWith(".vlog")
          ? { kind: "ignoredSync" }
          : undefined,
    });
    let acknowledged = 0;
    await work(disk, (n) => acknowledged = n).catch(() => {});
    disk.powerLoss(NO_DICE, "lose-all");
    const outcome = await openOn(disk.boot()).then(check).catch(() => -1);
    assert(outcome < acknowledged, `${outcome} of ${acknowledged}`);
  });
});
