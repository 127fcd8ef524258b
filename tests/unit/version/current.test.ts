/** CURRENT: replaced whole and durably; anything else than a whole one is damage. */
import { test } from "node:test";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { readCurrent, writeCurrent } from "../../../lib/version/current.ts";
import { assertEquals, assertMatch } from "../../assert.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { fromBytes, toBytes } from "../support/entries.ts";
import { newFiles } from "../support/tables.ts";

const PATH = "/db/CURRENT";
const TEMPORARY = "/db/CURRENT.tmp";
const FIRST = { manifest: 3, snapshotLength: 214 };
const SECOND = { manifest: 2 ** 33, snapshotLength: 2 ** 40 };

function written(): MemoryFileSystem {
  const files = newFiles();
  writeCurrent(files, "/db", FIRST);
  return files;
}

test("it is one line of text, and comes back", () => {
  const files = written();
  const text = fromBytes(files.readFile(PATH));
  assertMatch(
    text,
    /^varve 1 manifest 3 snapshot 214 checksum [0-9a-f]{8}\n$/,
  );
  assertEquals(readCurrent(files, "/db"), FIRST);
  writeCurrent(files, "/db", SECOND);
  assertEquals(readCurrent(files, "/db"), SECOND);
  assertEquals(files.list("/db"), ["CURRENT"]);
});

test("it is durable when the call returns", () => {
  const files = written();
  assertEquals(readCurrent(files.afterPowerLoss(), "/db"), FIRST);
  writeCurrent(files, "/db", SECOND);
  assertEquals(readCurrent(files.afterPowerLoss(), "/db"), SECOND);
});

test("power lost before any operation leaves the old one or the new one", () => {
  const before = written();
  for (let nth = 0;; nth++) {
    const files = before.afterProcessDeath();
    let count = 0;
    let image: MemoryFileSystem | undefined;
    files.onOperation = () => {
      if (count++ === nth) image = files.afterPowerLoss();
    };
    writeCurrent(files, "/db", SECOND);
    if (image === undefined) break;
    const { manifest } = readCurrent(image, "/db");
    assertEquals([3, 2 ** 33].includes(manifest), true, `operation ${nth}`);
  }
});

test("a temporary one that was left over is replaced", () => {
  const files = written();
  files.writeFile(TEMPORARY, toBytes("half of somethi"));
  writeCurrent(files, "/db", SECOND);
  assertEquals(readCurrent(files, "/db"), SECOND);
  assertEquals(files.stat(TEMPORARY), undefined);
});

test("any byte changed, added or lost is CORRUPTION", () => {
  const files = written();
  const bytes = files.readFile(PATH);
  const damage = (changed: Uint8Array) => {
    files.writeFile(PATH, changed);
    throwsWith("CORRUPTION", () => readCurrent(files, "/db"));
  };
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [0x01, 0x20, 0x80]) {
      const changed = bytes.slice();
      changed[at] ^= flip;
      damage(changed);
    }
    damage(bytes.slice(0, at));
  }
  damage(new Uint8Array([...bytes, 0x0a]));
  damage(new Uint8Array([...bytes, ...bytes]));
  damage(new Uint8Array(100));
});

test("a version to come is CORRUPTION", () => {
  const files = written();
  const text = fromBytes(files.readFile(PATH));
  files.writeFile(PATH, toBytes(text.replace("varve 1", "varve 2")));
  throwsWith("CORRUPTION", () => readCurrent(files, "/db"));
});

test("failures are IO, and leave the old one in its place", () => {
  for (const operation of ["create", "write", "sync", "rename"] as const) {
    const files = written();
    files.onOperation = (happening) => {
      if (happening !== operation) return;
      throw Object.assign(new Error("made by the test"), { code: "EIO" });
    };
    throwsWith("IO", () => writeCurrent(files, "/db", SECOND));
    files.onOperation = undefined;
    assertEquals(readCurrent(files, "/db"), FIRST, operation);
  }
});
