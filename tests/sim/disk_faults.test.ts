/** Every operation is reported once, and a fault strikes it and nothing else. */
import { describe, test } from "node:test";
import type { VarveError } from "../../lib/errors.ts";
import type { FileSystem } from "../../lib/runtime/runtime.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "../assert.ts";
import {
  type BootedFiles,
  Disk,
  type DiskOperation,
  type Fault,
  PowerLoss,
} from "./disk.ts";

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

/** A disk with the file /db/f of ten bytes; faults strike the operations of its boot. */
class Bench {
  readonly disk: Disk = new Disk();
  readonly files: BootedFiles;
  readonly operations: DiskOperation[] = [];
  /** For the next operation only. */
  fault: Fault | undefined;

  constructor() {
    this.disk.boot().makeDirectory("/db");
    this.disk.writeFile("/db/f", bytes(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    this.files = this.disk.boot({
      before: (operation) => {
        this.operations.push(operation);
        const { fault } = this;
        this.fault = undefined;
        return fault;
      },
    });
  }

  /** The operations that `work` does. */
  during(work: () => void): DiskOperation[] {
    const before = this.operations.length;
    work();
    return this.operations.slice(before);
  }
}

/** Each kind of operation, as something to do with a file system. */
const WORK: Record<string, (files: FileSystem) => unknown> = {
  open: (files) => files.open("/db/f", "read"),
  create: (files) => files.open("/db/new", "create"),
  list: (files) => files.list("/db"),
  stat: (files) => files.stat("/db/f"),
  makeDirectory: (files) => files.makeDirectory("/db/d"),
  rename: (files) => files.rename("/db/f", "/db/g"),
  remove: (files) => files.remove("/db/f"),
  removeAside: (files) => files.removeAside?.("/db/f"),
  syncDirectory: (files) => files.syncDirectory("/db"),
  lock: (files) => files.lock("/db/LOCK"),
};

describe("operations", () => {
  test("are reported before they are done, with all that is known", async () => {
    const bench = new Bench();
    const { files, operations } = bench;
    const first = bench.disk.operations;
    const file = files.open("/db/x", "create");
    file.writeAt(bytes(1, 2), 5);
    file.syncNow();
    await file.sync();
    file.readAt(new Uint8Array(4), 3);
    file.size();
    file.close();
    files.open("/db/x", "read").close();
    files.stat("/db/x");
    files.list("/db");
    files.rename("/db/x", "/db/y");
    files.remove("/db/y");
    await files.removeAside("/db/f");
    files.syncDirectory("/db");
    (await files.lock("/db/LOCK")).release();
    (await files.lock("/db/LOCK")).release();
    const expected = [
      { kind: "create", mutates: true, path: "/db/x" },
      { kind: "write", mutates: true, path: "/db/x", position: 5, length: 2 },
      { kind: "sync", mutates: true, path: "/db/x", now: true },
      { kind: "sync", mutates: true, path: "/db/x", now: false },
      { kind: "read", mutates: false, path: "/db/x", position: 3, length: 4 },
      { kind: "stat", mutates: false, path: "/db/x" },
      { kind: "open", mutates: false, path: "/db/x" },
      { kind: "stat", mutates: false, path: "/db/x" },
      { kind: "list", mutates: false, path: "/db" },
      { kind: "rename", mutates: true, path: "/db/x", to: "/db/y" },
      { kind: "remove", mutates: true, path: "/db/y", aside: false },
      { kind: "remove", mutates: true, path: "/db/f", aside: true },
      { kind: "syncDirectory", mutates: true, path: "/db" },
      { kind: "lock", mutates: true, path: "/db/LOCK" },
      { kind: "lock", mutates: false, path: "/db/LOCK" },
    ].map((operation, i) => ({ index: first + i, ...operation }));
    assertEquals(operations as unknown, expected);
    assertEquals(bench.disk.operations, first + expected.length);
  });

  test("of makeDirectory() are one for each level, with the sync of the one above", () => {
    const bench = new Bench();
    const kinds = (path: string) =>
      bench.during(() => bench.files.makeDirectory(path)).map((
        { kind, path, mutates },
      ) => `${kind} ${path} ${mutates}`);
    assertEquals(kinds("/db/x/y"), [
      "syncDirectory / true",
      "makeDirectory /db/x true",
      "syncDirectory /db true",
      "makeDirectory /db/x/y true",
      "syncDirectory /db/x true",
    ]);
    assertEquals(kinds("/db/x/y"), [
      "makeDirectory /db/x/y false",
      "syncDirectory /db/x true",
    ]);
  });

  test("on closed handles, or at no position, are none", () => {
    const { disk, files } = new Bench();
    const file = files.open("/db/f", "read");
    const count = disk.operations;
    for (const position of [-1, 0.5, NaN, 2 ** 60]) {
      assertThrows(() => file.readAt(bytes(0), position), Error, "EINVAL");
    }
    file.close();
    file.close();
    assertThrows(() => file.readAt(bytes(0), 0), Error, "EBADF");
    assertThrows(() => file.syncNow(), Error, "EBADF");
    assertEquals(disk.operations, count);
  });

  test("count on over boots, and in forks", () => {
    const { disk, files } = new Bench();
    const count = disk.operations;
    files.stat("/db");
    const fork = disk.fork();
    const indexes: number[] = [];
    const before = ({ index }: DiskOperation) => void indexes.push(index);
    disk.boot({ before }).stat("/db");
    fork.boot({ before }).stat("/db");
    assertEquals(indexes, [count + 1, count + 1]);
  });

  test("that fail by themselves are reported too", () => {
    const bench = new Bench();
    const done = bench.during(() => {
      assertThrows(() => bench.files.open("/db/none", "read"));
      assertThrows(() => bench.files.remove("/db/none"));
    });
    assertEquals(done.map(({ kind }) => kind), ["open", "remove"]);
  });
});

describe("an error", () => {
  for (const [name, work] of Object.entries(WORK)) {
    test(`instead of ${name}: nothing is done`, async () => {
      const sound = new Bench();
      const hash = sound.disk.hash();
      const faulty = new Bench();
      faulty.fault = { kind: "error", code: "EIO" };
      let thrown: unknown;
      try {
        await work(faulty.files);
      } catch (error) {
        thrown = error;
      }
      assertInstanceOf(thrown, Error);
      assertStrictEquals((thrown as VarveError).code, "IO");
      const where = name === "makeDirectory" ? "directory /:" : "/db";
      assert(thrown.message.includes(where), thrown.message);
      assert(thrown.message.endsWith("EIO (the device reported an error)"));
      assertStrictEquals((thrown.cause as { code?: string }).code, "EIO");
      assertEquals(faulty.disk.hash(), hash);
      assertEquals(faulty.files.openHandles, []);
      assertEquals(faulty.files.locks, []);
      await work(faulty.files); // It was that operation, and no other.
      await work(sound.files);
      assertEquals(faulty.disk.hash(), sound.disk.hash());
      assertEquals(faulty.operations.length, sound.operations.length + 1);
    });
  }

  test("instead of a read, a write or a measurement", () => {
    const bench = new Bench();
    const file = bench.files.open("/db/x", "create");
    const into = bytes(7);
    bench.fault = { kind: "error", code: "EIO" };
    assertThrows(() => file.readAt(into, 0), Error, "cannot read /db/x: EIO");
    bench.fault = { kind: "error", code: "ENOSPC" };
    const full = "cannot write /db/x: ENOSPC (no space left on the device)";
    assertThrows(() => file.writeAt(into, 0), Error, full);
    bench.fault = { kind: "error", code: "EIO" };
    assertThrows(() => file.size(), Error, "cannot examine /db/x: EIO");
    assertEquals(file.size(), 0);
    assertEquals(into, bytes(7));
  });

  test("of the sync in makeDirectory() is thrown, unless it is a denial", () => {
    for (const code of ["EIO", "EACCES"] as const) {
      const disk = new Disk();
      const files = disk.boot({
        before: ({ kind }) =>
          kind === "syncDirectory" ? { kind: "error", code } : undefined,
      });
      const work = () => files.makeDirectory("/d");
      if (code === "EIO") assertThrows(work, Error, "sync directory /: EIO");
      else work();
      assertEquals(files.stat("/d") !== undefined, code === "EACCES");
    }
  });
});

describe("a short write", () => {
  test("leaves so many bytes and throws", () => {
    for (const count of [0, 2, 3]) {
      const bench = new Bench();
      const file = bench.files.open("/db/x", "create");
      bench.fault = { kind: "shortWrite", bytes: count, code: "ENOSPC" };
      const text = "cannot write /db/x: ENOSPC";
      assertThrows(() => file.writeAt(bytes(1, 2, 3), 0), Error, text);
      assertEquals(
        bench.disk.readFile("/db/x"),
        bytes(1, 2, 3).slice(0, count),
      );
    }
  });
});

describe("a short read", () => {
  test("gives fewer bytes, and leaves the rest of the buffer", () => {
    const bench = new Bench();
    const file = bench.files.open("/db/f", "read");
    const into = new Uint8Array(5).fill(0xee);
    bench.fault = { kind: "shortRead", bytes: 2 };
    assertEquals(file.readAt(into, 3), 2);
    assertEquals(into, bytes(3, 4, 0xee, 0xee, 0xee));
    bench.fault = { kind: "shortRead", bytes: 4 };
    assertEquals(file.readAt(into, 8), 2); // No more than there is.
    assertEquals(file.readAt(into, 3), 5);
  });
});

describe("a flipped bit", () => {
  test("of a read is in that answer only", () => {
    const bench = new Bench();
    const file = bench.files.open("/db/f", "read");
    const into = new Uint8Array(4);
    bench.fault = { kind: "flipOnRead", bit: 8 + 7 };
    file.readAt(into, 2);
    assertEquals(into, bytes(2, 3 ^ 0x80, 4, 5));
    file.readAt(into, 2);
    assertEquals(into, bytes(2, 3, 4, 5));
    bench.fault = { kind: "flipOnRead", bit: 2 * 8 }; // Two bytes are left.
    file.readAt(into, 8);
    assertEquals(into, bytes(8 ^ 1, 9, 4, 5));
    bench.fault = { kind: "flipOnRead", bit: 0 };
    assertEquals(file.readAt(into, 10), 0);
  });

  test("at rest is there for good, durable or not", () => {
    const { disk, files } = new Bench();
    const file = files.open("/db/x", "create");
    file.writeAt(bytes(1, 1), 0);
    file.syncNow();
    files.syncDirectory("/db");
    disk.flipBit("/db/x", 9);
    assertEquals(disk.readFile("/db/x"), bytes(1, 3));
    assert(disk.isClean);
    file.writeAt(bytes(1), 2);
    disk.flipBit("/db/x", 0);
    disk.flipBit("/db/x", 16);
    assertEquals(disk.readFile("/db/x"), bytes(0, 3, 0));
    const lost = disk.fork();
    lost.powerLoss({ below: () => 0 }, "lose-all");
    assertEquals(lost.readFile("/db/x"), bytes(0, 3));
    const kept = disk.fork();
    kept.powerLoss({ below: () => 0 }, "keep-all");
    assertEquals(kept.readFile("/db/x"), bytes(0, 3, 0));
    file.syncNow();
    disk.powerLoss({ below: () => 0 }, "lose-all");
    assertEquals(disk.readFile("/db/x"), bytes(0, 3, 0));
    assertThrows(() => disk.flipBit("/db/x", 24), RangeError, "no bit 24");
  });
});

describe("a misdirected write", () => {
  test("lands in another file, and leaves zeros in its own", () => {
    const bench = new Bench();
    const file = bench.files.open("/db/x", "create");
    file.writeAt(bytes(1), 0);
    bench.fault = { kind: "misdirectedWrite", path: "/db/f", position: 8 };
    file.writeAt(bytes(9, 8, 7), 1);
    assertEquals(bench.disk.readFile("/db/x"), bytes(1, 0, 0, 0));
    const hit = bytes(0, 1, 2, 3, 4, 5, 6, 7, 9, 8);
    assertEquals(bench.disk.readFile("/db/f"), hit); // No longer than it was.
    file.syncNow();
    bench.files.syncDirectory("/db");
    bench.disk.powerLoss({ below: () => 0 }, "lose-all");
    assertEquals(bench.disk.readFile("/db/x"), bytes(1, 0, 0, 0));
    assertEquals(bench.disk.readFile("/db/f"), hit);
  });

  test("within the file leaves the old bytes at its place", () => {
    const bench = new Bench();
    const file = bench.files.open("/db/x", "create");
    file.writeAt(bytes(1, 2, 3, 4), 0);
    file.syncNow();
    bench.fault = { kind: "misdirectedWrite", path: "/db/x", position: 0 };
    file.writeAt(bytes(9), 2);
    assertEquals(bench.disk.readFile("/db/x"), bytes(9, 2, 3, 4));
  });
});

describe("a power loss in an operation", () => {
  for (const [name, work] of Object.entries(WORK)) {
    test(`${name} does nothing, nor does any after it`, async () => {
      const bench = new Bench();
      const file = bench.files.open("/db/f", "read");
      const { disk, files } = bench;
      const hash = disk.hash();
      bench.fault = { kind: "powerLoss" };
      const assertDead = async (work: () => unknown) => {
        let thrown: unknown;
        try {
          await work();
        } catch (error) {
          thrown = error;
        }
        assertInstanceOf(thrown, PowerLoss);
      };
      await assertDead(() => work(files));
      assert(files.hasEnded);
      const count = disk.operations;
      for (const other of Object.values(WORK)) {
        await assertDead(() => other(files));
      }
      await assertDead(() => file.readAt(bytes(0), 0));
      await assertDead(() => file.size());
      await assertDead(() => file.syncNow());
      await assertDead(() => file.sync());
      file.close();
      assertEquals(disk.operations, count);
      assertEquals(disk.hash(), hash);
      assertEquals(disk.boot().list("/db"), ["f"]);
    });
  }

  test("ends the syncs and removals under way, which do nothing", async () => {
    const bench = new Bench();
    let end = () => {};
    const time = new Promise<void>((resolve) => end = resolve);
    const files = bench.disk.boot({
      before: ({ kind }) => kind === "stat" ? { kind: "powerLoss" } : undefined,
      syncTime: () => time,
    });
    const file = files.open("/db/x", "create");
    files.syncDirectory("/db");
    file.writeAt(bytes(1), 0);
    const ended = [
      assertRejects(() => file.sync(), PowerLoss),
      assertRejects(() => files.removeAside("/db/f"), PowerLoss),
    ];
    assertThrows(() => files.stat("/db"), PowerLoss);
    end();
    await Promise.all(ended);
    assertEquals(bench.disk.boot().list("/db").toSorted(), ["f", "x"]);
    bench.disk.powerLoss({ below: () => 0 }, "lose-all");
    assertEquals(bench.disk.readFile("/db/x"), bytes());
  });
});

describe("a fault that makes no sense is an error of the test", () => {
  const cases: [fault: Fault, work: keyof typeof WORK][] = [
    [{ kind: "shortWrite", bytes: 1, code: "EIO" }, "open"],
    [{ kind: "misdirectedWrite", path: "/db/f", position: 0 }, "create"],
    [{ kind: "shortRead", bytes: 1 }, "list"],
    [{ kind: "flipOnRead", bit: 1 }, "stat"],
    [{ kind: "lostSync", code: "EIO" }, "remove"],
    [{ kind: "ignoredSync" }, "rename"],
  ];
  for (const [fault, work] of cases) {
    test(`${fault.kind} for ${work}`, () => {
      const bench = new Bench();
      bench.fault = fault;
      const text = `${fault.kind} is no fault of ${work}`;
      assertThrows(() => WORK[work]?.(bench.files), TypeError, text);
    });
  }

  test("misdirectedWrite to what is no file", () => {
    const bench = new Bench();
    const file = bench.files.open("/db/x", "create");
    bench.fault = { kind: "misdirectedWrite", path: "/db/no", position: 0 };
    const text = "a fault names /db/no, which is no file";
    assertThrows(() => file.writeAt(bytes(1), 0), TypeError, text);
    assertEquals(file.size(), 0);
  });
});
