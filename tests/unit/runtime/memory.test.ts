import { test } from "node:test";
import type { VarveError } from "../../../lib/errors.ts";
import {
  MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import {
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "../../assert.ts";

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** A file system with the directory `/db`. */
function start(): MemoryFileSystem {
  const files = new MemoryFileSystem();
  files.makeDirectory("/db");
  return files;
}

test("power loss undoes an unsynced creation, synced bytes or not", () => {
  const files = start();
  const file = files.open("/db/f", "create");
  file.writeAt(bytes(1), 0);
  file.syncNow();
  assertEquals(files.afterPowerLoss().list("/db"), []);
  files.syncDirectory("/db");
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1));
});

test("power loss empties a file whose bytes were not synced", () => {
  const files = start();
  files.open("/db/f", "create").writeAt(bytes(1, 2), 0);
  files.syncDirectory("/db");
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes());
  assertEquals(files.readFile("/db/f"), bytes(1, 2));
});

test("power loss takes back everything since the last sync", () => {
  const files = start();
  const file = files.open("/db/f", "create");
  files.syncDirectory("/db");
  file.writeAt(bytes(1, 2, 3), 0);
  file.syncNow();
  file.writeAt(bytes(9), 1);
  file.writeAt(bytes(4, 5), 3);
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1, 2, 3));
  file.syncNow();
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1, 9, 3, 4, 5));
});

test("power loss undoes an unsynced rename and removal", () => {
  const files = start();
  files.writeFile("/db/old", bytes(1));
  files.writeFile("/db/new", bytes(2));
  files.writeFile("/db/gone", bytes(3));
  files.rename("/db/old", "/db/new");
  files.remove("/db/gone");
  const before = files.afterPowerLoss();
  assertEquals(before.list("/db").sort(), ["gone", "new", "old"]);
  assertEquals(before.readFile("/db/new"), bytes(2));
  assertEquals(before.readFile("/db/old"), bytes(1));
  files.syncDirectory("/db");
  const after = files.afterPowerLoss();
  assertEquals(after.list("/db"), ["new"]);
  assertEquals(after.readFile("/db/new"), bytes(1));
});

test("sync() makes durable what was written before it, when it resolves", async () => {
  let finish = () => {};
  const files = new MemoryFileSystem({
    syncDelay: () => new Promise<void>((resolve) => finish = resolve),
  });
  files.makeDirectory("/db");
  const file = files.open("/db/f", "create");
  files.syncDirectory("/db");
  file.writeAt(bytes(1, 2), 0);
  const sync = file.sync();
  file.writeAt(bytes(7, 8, 9), 1);
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes());
  finish();
  await sync;
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1, 2));
  file.syncNow();
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1, 7, 8, 9));
});

test("a late sync does not bring back older bytes", async () => {
  const finishes: (() => void)[] = [];
  const files = new MemoryFileSystem({
    syncDelay: () => new Promise<void>((resolve) => finishes.push(resolve)),
  });
  files.makeDirectory("/db");
  const file = files.open("/db/f", "create");
  files.syncDirectory("/db");
  file.writeAt(bytes(1, 1, 1), 0);
  const first = file.sync();
  file.writeAt(bytes(2), 1);
  const second = file.sync();
  file.writeAt(bytes(3), 2);
  file.syncNow();
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1, 2, 3));
  finishes.forEach((finish) => finish());
  await Promise.all([first, second]);
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(1, 2, 3));
});

test("a failed sync loses its bytes, and a retry does not save them", async () => {
  for (const isLate of [true, false]) {
    const files = start();
    const file = files.open("/db/f", "create");
    files.syncDirectory("/db");
    file.writeAt(bytes(1, 2), 0);
    files.onOperation = (operation) => {
      if (operation !== "sync") return;
      throw Object.assign(new Error("no"), { code: "EIO" });
    };
    const error = isLate
      ? await assertRejects(() => file.sync())
      : assertThrows(() => file.syncNow());
    assertStrictEquals((error as VarveError).code, "IO");
    files.onOperation = undefined;
    file.writeAt(bytes(3), 2);
    file.syncNow();
    assertEquals(files.readFile("/db/f"), bytes(1, 2, 3));
    assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(0, 0, 3));
    const restarted = files.afterProcessDeath();
    restarted.open("/db/f", "read").syncNow();
    assertEquals(restarted.afterPowerLoss().readFile("/db/f"), bytes(0, 0, 3));
  }
});

test("a process's death keeps everything unsynced but the locks", async () => {
  const files = start();
  files.open("/db/f", "create").writeAt(bytes(1), 0);
  const lock = await files.lock("/db/LOCK");
  const restarted = files.afterProcessDeath();
  assertEquals(restarted.readFile("/db/f"), bytes(1));
  (await restarted.lock("/db/LOCK")).release();
  assertEquals(restarted.afterPowerLoss().list("/db"), []);
  restarted.open("/db/f", "read").syncNow();
  restarted.syncDirectory("/db");
  assertEquals(restarted.afterPowerLoss().readFile("/db/f"), bytes(1));
  assertEquals(files.afterPowerLoss().list("/db"), []);
  lock.release();
});

test("what comes after a loss is a copy", () => {
  const files = start();
  files.writeFile("/db/f", bytes(1));
  const copy = files.afterPowerLoss();
  copy.writeFile("/db/f", bytes(2));
  copy.writeFile("/db/g", bytes(3));
  assertEquals(files.readFile("/db/f"), bytes(1));
  assertEquals(files.list("/db"), ["f"]);
});

test("writeFile() replaces the bytes under an open handle", () => {
  const files = start();
  files.writeFile("/db/f", bytes(1, 2, 3));
  const file = files.open("/db/f", "read");
  files.writeFile("/db/f", bytes(9));
  assertEquals(file.size(), 1);
  assertEquals(files.afterPowerLoss().readFile("/db/f"), bytes(9));
});

test("the hook sees each operation before it, and can stop it", () => {
  const seen: string[] = [];
  const files = start();
  files.onOperation = (operation, path) => {
    seen.push(`${operation} ${path} ${files.stat("/db/f")?.size ?? "none"}`);
    if (operation === "rename") throw new Error("stop");
  };
  const file = files.open("/db/f", "create");
  file.writeAt(bytes(1, 2), 0);
  file.readAt(new Uint8Array(2), 0);
  file.syncNow();
  files.syncDirectory("/db");
  assertThrows(() => files.rename("/db/f", "/db/g"));
  files.remove("/db/f");
  assertEquals(seen, [
    "create /db/f none",
    "write /db/f 0",
    "read /db/f 2",
    "sync /db/f 2",
    "syncDirectory /db 2",
    "rename /db/f to /db/g 2",
    "remove /db/f 2",
  ]);
});

test("the counts count, and reset", () => {
  const files = start();
  const file = files.open("/db/f", "create");
  file.writeAt(bytes(1), 0);
  file.writeAt(bytes(1), 1);
  file.syncNow();
  assertEquals(files.counts, {
    open: 0,
    create: 1,
    read: 0,
    write: 2,
    sync: 1,
    list: 0,
    makeDirectory: 1,
    rename: 0,
    remove: 0,
    syncDirectory: 0,
    lock: 0,
  });
  files.resetCounts();
  assertEquals(Object.values(files.counts).some((count) => count !== 0), false);
});

test("memoryRuntime() has deterministic clocks, or the one given", () => {
  const runtime = memoryRuntime();
  assertEquals(
    [runtime.wallClock(), runtime.monotonicClock(), runtime.wallClock()],
    [0, 1, 2],
  );
  let now = 5;
  const clocked = memoryRuntime(undefined, { clock: () => now });
  assertEquals(clocked.monotonicClock(), 5);
  now = 8;
  assertEquals(clocked.wallClock(), 8);
});
