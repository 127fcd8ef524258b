/** Which entries a power loss leaves: no more, and no less. */
import { describe, test } from "node:test";
import { assert, assertEquals, assertFalse, assertThrows } from "../assert.ts";
import { type BootedFiles, Disk, type Fault } from "./disk.ts";
import { everyOutcome } from "./every_roll.ts";

const encoder = new TextEncoder();

/** A disk with the directories /a and /b, and in /a these files of their own names; all durable. */
function start(...names: string[]): { disk: Disk; files: BootedFiles } {
  const disk = new Disk();
  const files = disk.boot();
  files.makeDirectory("/a");
  files.makeDirectory("/b");
  for (const name of names) make(files, `/a/${name}`, name);
  files.syncDirectory("/a");
  return { disk, files };
}

/** Makes a file whose bytes are durable, and whose entry is not. */
function make(files: BootedFiles, path: string, text: string): void {
  const file = files.open(path, "create");
  file.writeAt(encoder.encode(text), 0);
  file.syncNow();
  file.close();
}

/** Every file, with its content. */
function show(disk: Disk): string {
  return disk.list().map(({ path }) =>
    `${path}=${new TextDecoder().decode(disk.readFile(path))}`
  ).join(" ");
}

/** All that a power loss can leave. */
function survivors(disk: Disk): string[] {
  return everyOutcome((dice) => {
    const fork = disk.fork();
    fork.powerLoss(dice);
    assert(fork.isClean);
    return show(fork);
  });
}

/** What the two extremes leave. */
function extremes(disk: Disk): [lost: string, kept: string] {
  const [lost, kept] = [disk.fork(), disk.fork()];
  const none = { below: () => 0 };
  lost.powerLoss(none, "lose-all");
  kept.powerLoss(none, "keep-all");
  return [show(lost), show(kept)];
}

describe("of what was not synced", () => {
  test("a creation survives or not, though the file's bytes are synced", () => {
    const { disk, files } = start();
    make(files, "/a/x", "X");
    assertEquals(survivors(disk), ["", "/a/x=X"]);
    assertEquals(extremes(disk), ["", "/a/x=X"]);
    files.syncDirectory("/a");
    assertEquals(survivors(disk), ["/a/x=X"]);
    assert(disk.isClean);
  });

  test("a removal survives or not; then the file has its synced bytes", () => {
    const { disk, files } = start("x");
    files.remove("/a/x");
    assertFalse(disk.isClean);
    assertEquals(survivors(disk), ["", "/a/x=x"]);
    assertEquals(extremes(disk), ["/a/x=x", ""]);
    files.syncDirectory("/a");
    assertEquals(survivors(disk), [""]);
  });

  test("a rename is old or new, never in between", () => {
    const { disk, files } = start("x", "y");
    files.rename("/a/x", "/a/y");
    assertEquals(survivors(disk), ["/a/x=x /a/y=y", "/a/y=x"]);
    assertEquals(extremes(disk), ["/a/x=x /a/y=y", "/a/y=x"]);
    files.syncDirectory("/a");
    assertEquals(survivors(disk), ["/a/y=x"]);
  });

  test("a rename of a new file survives whether or not its creation did", () => {
    const { disk, files } = start("y");
    make(files, "/a/new", "Y");
    files.rename("/a/new", "/a/y");
    assertEquals(survivors(disk), ["/a/new=Y /a/y=y", "/a/y=Y", "/a/y=y"]);
  });

  test("changes survive in any order", () => {
    const { disk, files } = start("old");
    make(files, "/a/x", "X");
    make(files, "/a/y", "Y");
    files.remove("/a/old");
    assertEquals(survivors(disk), [
      "",
      "/a/old=old",
      "/a/old=old /a/x=X",
      "/a/old=old /a/x=X /a/y=Y",
      "/a/old=old /a/y=Y",
      "/a/x=X",
      "/a/x=X /a/y=Y",
      "/a/y=Y",
    ]);
  });

  test("a name that was used again is any of its files, or none", () => {
    const { disk, files } = start("x");
    files.remove("/a/x");
    make(files, "/a/x", "second");
    files.remove("/a/x");
    make(files, "/a/x", "third");
    const outcomes = ["", "/a/x=second", "/a/x=third", "/a/x=x"];
    assertEquals(survivors(disk), outcomes);
    assertEquals(extremes(disk), ["/a/x=x", "/a/x=third"]);
  });

  test("an entry survives without the bytes that were not synced", () => {
    const { disk, files } = start();
    files.open("/a/x", "create").writeAt(encoder.encode("X"), 0);
    assertEquals(survivors(disk), ["", "/a/x=", "/a/x=\0", "/a/x=X"]);
    files.syncDirectory("/a");
    assertEquals(survivors(disk), ["/a/x=", "/a/x=\0", "/a/x=X"]);
  });
});

describe("a sync of a directory", () => {
  test("is for its entries as they are, and for no other's", () => {
    const { disk, files } = start();
    make(files, "/a/x", "X");
    make(files, "/b/y", "Y");
    files.syncDirectory("/a");
    make(files, "/a/later", "L");
    files.remove("/a/x");
    assertEquals(extremes(disk)[0], "/a/x=X");
    files.syncDirectory("/a");
    assertEquals(extremes(disk)[0], "/a/later=L");
  });

  test("makes a rename between two directories durable in both", () => {
    for (const synced of ["/a", "/b"]) {
      const { disk, files } = start("x");
      make(files, "/b/other", "O");
      files.rename("/a/x", "/b/y");
      assertEquals(survivors(disk), [
        "/a/x=x",
        "/a/x=x /b/other=O",
        "/b/other=O /b/y=x",
        "/b/y=x",
      ]);
      files.syncDirectory(synced);
      assertEquals(survivors(disk), ["/b/other=O /b/y=x"]);
    }
  });

  test("does not sync the bytes of its files", () => {
    const { disk, files } = start();
    files.open("/a/x", "create").writeAt(encoder.encode("X"), 0);
    files.syncDirectory("/a");
    assertEquals(extremes(disk)[0], "/a/x=");
  });

  test("that is lost leaves the entries seen, and a retry saves none", () => {
    const { disk } = start("x");
    let fault: Fault | undefined;
    const files = disk.boot({ before: () => fault });
    make(files, "/a/y", "Y");
    files.remove("/a/x");
    fault = { kind: "lostSync", code: "EIO" };
    const text = "cannot sync directory /a: EIO";
    assertThrows(() => files.syncDirectory("/a"), Error, text);
    fault = undefined;
    assertEquals(show(disk), "/a/y=Y");
    const outcomes = ["", "/a/x=x", "/a/x=x /a/y=Y", "/a/y=Y"];
    assertEquals(survivors(disk), outcomes); // Some may have reached the disk.
    assertEquals(extremes(disk), ["/a/x=x", "/a/x=x"]); // None for sure.
    const dropped = disk.fork();
    dropped.killProcess("dropped");
    assertEquals(show(dropped), "/a/x=x");
    assert(dropped.isClean);
    files.syncDirectory("/a");
    assertEquals(show(disk), "/a/y=Y");
    assertFalse(disk.isClean);
    assertEquals(survivors(disk), ["/a/x=x"]);
    make(files, "/a/z", "Z");
    disk.killProcess("dropped");
    assertEquals(show(disk), "/a/x=x /a/z=Z");
    assertEquals(survivors(disk), ["/a/x=x", "/a/x=x /a/z=Z"]);
  });

  test("of a removal holds, though a change before it was lost", () => {
    const { disk } = start("x", "y");
    let fault: Fault | undefined;
    const files = disk.boot({ before: () => fault });
    files.rename("/a/y", "/a/x");
    fault = { kind: "lostSync", code: "EIO" };
    assertThrows(() => files.syncDirectory("/a"));
    fault = undefined;
    files.remove("/a/x");
    files.syncDirectory("/a");
    assertEquals(survivors(disk), ["/a/y=y"]); // The rename is lost, not the removal.
  });

  test("that is ignored saves nothing, a later one all", () => {
    const { disk } = start("x");
    let fault: Fault | undefined = { kind: "ignoredSync" };
    const files = disk.boot({
      before: ({ kind }) => kind === "syncDirectory" ? fault : undefined,
    });
    files.remove("/a/x");
    files.syncDirectory("/a");
    assertEquals(extremes(disk)[0], "/a/x=x");
    fault = undefined;
    files.syncDirectory("/a");
    assertEquals(extremes(disk)[0], "");
  });
});

describe("a directory", () => {
  test("that makeDirectory() made is durable, with those above it", () => {
    const { disk, files } = start();
    files.makeDirectory("/a/b/c");
    assert(disk.isClean);
    const fork = disk.fork();
    fork.powerLoss({ below: () => 0 }, "lose-all");
    assertEquals(fork.boot().stat("/a/b/c")?.isDirectory, true);
  });

  test("whose entry is lost takes all below it", () => {
    const disk = new Disk();
    const files = disk.boot({
      before: ({ kind, path }) =>
        kind === "syncDirectory" && path === "/a"
          ? { kind: "ignoredSync" }
          : undefined,
    });
    files.makeDirectory("/a/b");
    make(files, "/a/b/x", "X");
    files.syncDirectory("/a/b");
    assertEquals(survivors(disk), ["", "/a/b/x=X"]);
    disk.powerLoss({ below: () => 0 }, "lose-all");
    assertEquals(disk.boot().stat("/a")?.isDirectory, true);
    assertEquals(disk.boot().stat("/a/b"), undefined);
  });
});

test("list() gives names in an order of its own, the same each time", () => {
  const names = Array.from({ length: 20 }, (_, i) => `${100 + i}.log`);
  const { disk, files } = start(...names);
  const { files: other } = start(...names.toReversed());
  const listed = files.list("/a");
  assertEquals(listed.toSorted(), names);
  assertEquals(other.list("/a"), listed);
  assertEquals(disk.fork().boot().list("/a"), listed);
  assert(listed.join() !== names.join());
});
