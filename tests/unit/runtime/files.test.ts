/**
 * One list of tests over every file system that can run here: the runtime's
 * own, on a temporary directory, the one in memory, and the simulated disk.
 */
import { describe, test } from "node:test";
import type { VarveError } from "../../../lib/errors.ts";
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { FileSystem } from "../../../lib/runtime/runtime.ts";
import { selectRuntime } from "../../../lib/runtime/select.ts";
import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
} from "../../assert.ts";
import { Disk } from "../../sim/disk.ts";
import { withTempDir } from "../../temp.ts";

type Body = (files: FileSystem, dir: string) => void | Promise<void>;

const MEMORY_DIR = "/data";

/** Bytes that differ from one position to the next. */
function pattern(length: number, seed: number = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

/** Makes a file with these bytes. */
function make(files: FileSystem, path: string, bytes: Uint8Array): void {
  const file = files.open(path, "create");
  file.writeAt(bytes, 0);
  file.close();
}

/** All bytes of a file. */
function load(files: FileSystem, path: string): Uint8Array {
  const file = files.open(path, "read");
  const bytes = new Uint8Array(file.size());
  assertEquals(file.readAt(bytes, 0), bytes.length);
  file.close();
  return bytes;
}

/** Asserts that `work` fails with an IO error that matches. */
async function assertIo(
  work: () => unknown,
  message: RegExp,
): Promise<void> {
  let thrown: unknown;
  try {
    await work();
  } catch (error) {
    thrown = error;
  }
  assert(thrown instanceof Error, "nothing was thrown");
  assertStrictEquals((thrown as VarveError).code, "IO");
  assertMatch(thrown.message, message);
}

/** The tests of one file system. `define` names one and gives it a directory. */
function suite(define: (name: string, body: Body) => void): void {
  define("write and read at positions", (files, dir) => {
    const file = files.open(`${dir}/f`, "create");
    file.writeAt(pattern(100), 0);
    file.writeAt(pattern(10, 7), 50);
    file.writeAt(pattern(5, 9), 100);
    assertEquals(file.size(), 105);
    const into = new Uint8Array(10);
    assertEquals(file.readAt(into, 50), 10);
    assertEquals(into, pattern(10, 7));
    assertEquals(file.readAt(into, 40), 10);
    assertEquals(into, pattern(100).slice(40, 50));
    assertEquals(file.readAt(into, 60), 10);
    assertEquals(into, pattern(100).slice(60, 70));
    file.writeAt(pattern(3, 5), 2);
    assertEquals(file.readAt(into, 0), 10);
    assertEquals(into.slice(2, 5), pattern(3, 5));
    assertEquals(into.slice(5), pattern(100).slice(5, 10));
    file.close();
    assertEquals(load(files, `${dir}/f`).length, 105);
  });

  define("a read past the end is short, and 0 beyond it", (files, dir) => {
    const file = files.open(`${dir}/f`, "create");
    file.writeAt(pattern(10), 0);
    const into = new Uint8Array(8).fill(0xee);
    assertEquals(file.readAt(into, 6), 4);
    assertEquals(into.slice(0, 4), pattern(10).slice(6));
    assertEquals(into.slice(4), new Uint8Array(4).fill(0xee));
    assertEquals(file.readAt(into, 10), 0);
    assertEquals(file.readAt(into, 1000), 0);
    assertEquals(file.readAt(new Uint8Array(0), 0), 0);
    file.writeAt(new Uint8Array(0), 500);
    assertEquals(file.size(), 10);
    file.close();
  });

  define("an empty file reads nothing", (files, dir) => {
    const file = files.open(`${dir}/f`, "create");
    assertEquals(file.size(), 0);
    assertEquals(file.readAt(new Uint8Array(4), 0), 0);
    file.close();
    assertEquals(files.stat(`${dir}/f`), { isDirectory: false, size: 0 });
  });

  define("a write past the end leaves zeros between", (files, dir) => {
    const file = files.open(`${dir}/f`, "create");
    file.writeAt(pattern(4), 0);
    file.writeAt(pattern(4), 5000);
    assertEquals(file.size(), 5004);
    const into = new Uint8Array(5004);
    assertEquals(file.readAt(into, 0), 5004);
    assertEquals(into.slice(4, 5000), new Uint8Array(4996));
    file.close();
  });

  define("large writes and reads are whole", (files, dir) => {
    const bytes = pattern(5_000_011);
    make(files, `${dir}/f`, bytes);
    assert(load(files, `${dir}/f`).every((byte, i) => byte === bytes[i]));
  });

  define("views and shared memory are written and read", (files, dir) => {
    const shared = new Uint8Array(new SharedArrayBuffer(64));
    shared.set(pattern(64));
    const file = files.open(`${dir}/f`, "create");
    file.writeAt(shared.subarray(10, 30), 0);
    const into = new Uint8Array(new SharedArrayBuffer(64));
    assertEquals(file.readAt(into.subarray(5, 15), 3), 10);
    assertEquals(
      Array.from(into),
      [
        ...new Uint8Array(5),
        ...pattern(64).slice(13, 23),
        ...new Uint8Array(49),
      ],
    );
    file.close();
  });

  define("create refuses what exists", async (files, dir) => {
    make(files, `${dir}/f`, pattern(3));
    await assertIo(
      () => files.open(`${dir}/f`, "create"),
      /^cannot create .*\/f: EEXIST \(it exists already\)$/,
    );
    assertEquals(load(files, `${dir}/f`), pattern(3));
  });

  define("open does not create", async (files, dir) => {
    await assertIo(
      () => files.open(`${dir}/f`, "read"),
      /^cannot open .*\/f: ENOENT \(no such file or directory\)$/,
    );
    assertEquals(files.list(dir), []);
  });

  define("a file opened for reading refuses writes", async (files, dir) => {
    make(files, `${dir}/f`, pattern(3));
    const file = files.open(`${dir}/f`, "read");
    await assertIo(() => file.writeAt(pattern(1), 0), /^cannot write .*\/f: /);
    file.syncNow(); // recovery syncs what it only reads
    await file.sync();
    file.close();
    assertEquals(load(files, `${dir}/f`), pattern(3));
  });

  define("a closed file refuses, and closes twice", async (files, dir) => {
    const file = files.open(`${dir}/f`, "create");
    file.close();
    file.close();
    const closed = / .*\/f: EBADF \(the file is closed\)$/;
    await assertIo(() => file.readAt(new Uint8Array(1), 0), closed);
    await assertIo(() => file.writeAt(pattern(1), 0), closed);
    await assertIo(() => file.size(), closed);
    await assertIo(() => file.syncNow(), closed);
    await assertIo(() => file.sync(), closed);
    assertEquals(file.path, `${dir}/f`);
  });

  define(
    "reads, writes and close go on while syncs wait",
    async (files, dir) => {
      const file = files.open(`${dir}/f`, "create");
      const syncs: Promise<void>[] = [];
      const into = new Uint8Array(1000);
      for (let i = 0; i < 50; i++) {
        file.writeAt(pattern(1000, i), i * 1000);
        syncs.push(file.sync());
        assertEquals(file.readAt(into, i * 1000), 1000);
        assertEquals(into, pattern(1000, i));
      }
      file.close();
      await Promise.all(syncs);
      const bytes = load(files, `${dir}/f`);
      assertEquals(bytes.length, 50_000);
      assertEquals(bytes.slice(49_000), pattern(1000, 49));
    },
  );

  define("stat tells files, directories and nothing", (files, dir) => {
    make(files, `${dir}/f`, pattern(12));
    assertEquals(files.stat(`${dir}/f`), { isDirectory: false, size: 12 });
    assertEquals(files.stat(dir)?.isDirectory, true);
    assertStrictEquals(files.stat(`${dir}/none`), undefined);
    assertStrictEquals(files.stat(`${dir}/none/below`), undefined);
    assertStrictEquals(files.stat(`${dir}/f/below`), undefined);
  });

  define("list names every entry", async (files, dir) => {
    assertEquals(files.list(dir), []);
    make(files, `${dir}/b`, pattern(1));
    make(files, `${dir}/a`, pattern(1));
    files.makeDirectory(`${dir}/c`);
    assertEquals(files.list(dir).sort(), ["a", "b", "c"]);
    await assertIo(() => files.list(`${dir}/none`), /^cannot list .*: ENOENT /);
    await assertIo(() => files.list(`${dir}/a`), /^cannot list .*: ENOTDIR /);
  });

  define(
    "a failed write does not displace the reads after it",
    async (files, dir) => {
      make(files, `${dir}/f`, pattern(30));
      const file = files.open(`${dir}/f`, "read");
      const into = new Uint8Array(10);
      assertEquals(file.readAt(into, 0), 10);
      await assertIo(() => file.writeAt(pattern(1), 3), /^cannot write /);
      assertEquals(file.readAt(into, 10), 10);
      assertEquals(into, pattern(30).slice(10, 20));
      assertEquals(file.size(), 30);
      assertEquals(file.readAt(into, 20), 10);
      assertEquals(into, pattern(30).slice(20));
      file.close();
    },
  );

  define("makeDirectory makes what is missing", async (files, dir) => {
    files.makeDirectory(`${dir}/x/y/z`);
    assertEquals(files.stat(`${dir}/x/y/z`)?.isDirectory, true);
    make(files, `${dir}/x/y/z/f`, pattern(1));
    files.makeDirectory(`${dir}/x/y/z`);
    files.makeDirectory(`${dir}/x/y/z/`);
    assertEquals(files.list(`${dir}/x/y/z`), ["f"]);
    await assertIo(
      () => files.makeDirectory(`${dir}/x/y/z/f`),
      /^cannot make directory .*\/f: EEXIST /,
    );
    await assertIo(
      () => files.makeDirectory(`${dir}/x/y/z/f/g`),
      /^cannot make directory .*: (ENOTDIR|EEXIST) /,
    );
  });

  define("rename replaces its target", async (files, dir) => {
    make(files, `${dir}/a`, pattern(3, 1));
    make(files, `${dir}/b`, pattern(5, 2));
    files.rename(`${dir}/a`, `${dir}/b`);
    assertEquals(files.list(dir), ["b"]);
    assertEquals(load(files, `${dir}/b`), pattern(3, 1));
    await assertIo(
      () => files.rename(`${dir}/none`, `${dir}/b`),
      /^cannot rename .*\/none to .*\/b: ENOENT /,
    );
    assertEquals(load(files, `${dir}/b`), pattern(3, 1));
  });

  define("remove removes files only", async (files, dir) => {
    make(files, `${dir}/a`, pattern(3));
    files.makeDirectory(`${dir}/d`);
    files.remove(`${dir}/a`);
    assertEquals(files.list(dir), ["d"]);
    await assertIo(
      () => files.remove(`${dir}/a`),
      /^cannot remove .*: ENOENT /,
    );
    await assertIo(
      () => files.remove(`${dir}/d`),
      /^cannot remove .*\/d: (EISDIR|EPERM) /,
    );
    assertEquals(files.list(dir), ["d"]);
  });

  define("an open file outlives its removal", (files, dir) => {
    make(files, `${dir}/f`, pattern(9));
    const file = files.open(`${dir}/f`, "read");
    files.remove(`${dir}/f`);
    const into = new Uint8Array(9);
    assertEquals(file.readAt(into, 0), 9);
    assertEquals(into, pattern(9));
    file.close();
  });

  define("syncDirectory needs a directory that exists", async (files, dir) => {
    make(files, `${dir}/f`, pattern(1));
    files.syncDirectory(dir);
    await assertIo(
      () => files.syncDirectory(`${dir}/none`),
      /^cannot sync directory .*\/none: ENOENT /,
    );
  });

  define("lock is exclusive until it is released", async (files, dir) => {
    const first = await files.lock(`${dir}/LOCK`);
    let thrown: unknown;
    await files.lock(`${dir}/LOCK`).catch((error) => thrown = error);
    assertStrictEquals((thrown as VarveError | undefined)?.code, "LOCKED");
    assert((thrown as VarveError).message.startsWith(
      `${dir} is open in another handle`,
    ));
    first.release();
    const second = await files.lock(`${dir}/LOCK`);
    first.release(); // must not let go of what the second holds
    await files.lock(`${dir}/LOCK`).then(
      () => assert(false, "two hold the lock"),
      (error) => assertStrictEquals(error.code, "LOCKED"),
    );
    second.release();
    second.release();
    assertEquals(files.list(dir), ["LOCK"]);
    await assertIo(
      () => files.lock(`${dir}/none/LOCK`),
      /^cannot lock .*\/none\/LOCK: ENOENT /,
    );
  });
}

const runtime = await selectRuntime();

describe(`files of ${runtime.name}`, () => {
  suite((name, body) => {
    test(name, () => withTempDir((dir) => body(runtime.files, dir)));
  });
});

describe("files of the simulated disk", () => {
  suite((name, body) => {
    test(name, async () => {
      const files = new Disk().boot();
      files.makeDirectory(MEMORY_DIR);
      await body(files, MEMORY_DIR);
    });
  });
});

describe("files in memory", () => {
  suite((name, body) => {
    test(name, async () => {
      const files = new MemoryFileSystem();
      files.makeDirectory(MEMORY_DIR);
      await body(files, MEMORY_DIR);
    });
  });
});

test("a directory whose maker died before it was synced is synced before one is made in it", () =>
  withTempDir(async (dir) => {
    const { files } = await selectRuntime();
    files.makeDirectory(`${dir}/left`);
    const sync = files.syncDirectory.bind(files);
    const synced: string[] = [];
    files.syncDirectory = (path) => {
      const isMade = files.stat(`${dir}/left/db`) !== undefined;
      synced.push(`${path}, ${isMade ? "after" : "before"}`);
      sync(path);
    };
    files.makeDirectory(`${dir}/left/db`);
    assertEquals(synced, [`${dir}, before`, `${dir}/left, after`]);
  }));
