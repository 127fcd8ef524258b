/**
 * The contract of codecs: typed keys and values.
 *
 * @module
 */
import { test } from "node:test";
import { bytes, type Codec, json, utf8 } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { rejectsWith } from "./support/errors.ts";

interface User {
  name: string;
  tags: string[];
}

const ada: User = { name: "Ada", tags: ["maths", "ünïcode"] };
const bob: User = { name: "Bob", tags: [] };

/** Whole numbers below 2^32, in their own order. */
const uint32: Codec<number> = {
  ordered: true,
  encode(value) {
    const encoded = new Uint8Array(4);
    new DataView(encoded.buffer).setUint32(0, value);
    return encoded;
  },
  decode: (encoded) =>
    new DataView(encoded.buffer, encoded.byteOffset).getUint32(0),
};

/** As `uint32`, but the order of its bytes is not that of its numbers. */
const littleEndian: Codec<number> = {
  encode(value) {
    const encoded = new Uint8Array(4);
    new DataView(encoded.buffer).setUint32(0, value, true);
    return encoded;
  },
  decode: (encoded) =>
    new DataView(encoded.buffer, encoded.byteOffset).getUint32(0, true),
};

test("utf8 keys and json values: types and values follow", () =>
  withTempDir(async (dir) => {
    await using db = await open(dir, { keys: utf8, values: json<User>() });
    await db.put("ada", ada);
    await db.write([
      { type: "put", key: "bob", value: bob },
      { type: "delete", key: "nobody" },
    ]);
    for (let layer = 0; layer < 2; layer++) {
      const user: User | undefined = db.get("ada");
      assertEquals(user, ada);
      assertEquals(db.get("nobody"), undefined);
      assertEquals(db.getMany(["bob", "nobody"]), [bob, undefined]);
      assert(db.has("bob"));
      const all: [string, User][] = [...db.scan()];
      assertEquals(all, [["ada", ada], ["bob", bob]]);
      const names: string[] = [...db.scan({ prefix: "b" }).keys()];
      assertEquals(names, ["bob"]);
      const users: User[] = [...db.scan({ reverse: true }).values()];
      assertEquals(users, [bob, ada]);
      await db.flush();
    }
  }));

test("a codec of one's own: order, bounds, batches, snapshots", () =>
  withTempDir(async (dir) => {
    await using db = await open(dir, { keys: uint32, values: littleEndian });
    const numbers = [0, 1, 255, 256, 65_535, 65_536, 4_294_967_295];
    await db.write(
      numbers.toReversed().map((n) => ({ type: "put", key: n, value: n })),
    );
    using snapshot = db.snapshot();
    await db.deleteRange(1, 256);
    assertEquals([...db.scan().keys()], [0, ...numbers.slice(3)]);
    assertEquals([...snapshot.scan().keys()], numbers);
    assertEquals(snapshot.get(255), 255);
    assertEquals([...db.scan({ gte: 256, lt: 65_536 })], [
      [256, 256],
      [65_535, 65_535],
    ]);
    await db.clear({ gt: 256 });
    assertEquals([...db.scan().values()], [0, 256]);
    await db.delete(0);
    assertEquals(db.get(0), undefined);
  }));

test("a codec of keys that does not say that it is ordered is INVALID_CONFIG", () =>
  withTempDir(async (dir) => {
    const unordered: Codec<number>[] = [
      littleEndian,
      // deno-lint-ignore no-explicit-any -- wrong on purpose.
      { ...uint32, ordered: false as any },
      // deno-lint-ignore no-explicit-any -- wrong on purpose.
      { ...uint32, ordered: "yes" as any },
    ];
    for (const keys of unordered) {
      await rejectsWith("INVALID_CONFIG", () => open(`${dir}/db`, { keys }));
    }
    const keys = json<number>();
    await rejectsWith("INVALID_CONFIG", () => open(`${dir}/db`, { keys }));
    // For values, order does not matter.
    await (await open(`${dir}/db`, { values: littleEndian })).close();
  }));

test("what is not a codec is INVALID_CONFIG", () =>
  withTempDir(async (dir) => {
    const half = { ordered: true, encode: uint32.encode };
    for (const wrong of [null, "utf8", {}, half, 1]) {
      // deno-lint-ignore no-explicit-any -- wrong on purpose.
      const codec = wrong as any;
      const path = `${dir}/db`;
      await rejectsWith("INVALID_CONFIG", () => open(path, { keys: codec }));
      await rejectsWith("INVALID_CONFIG", () => open(path, { values: codec }));
    }
  }));

test("bytes is the default codec", () =>
  withTempDir(async (dir) => {
    await using db = await open(dir, { keys: bytes, values: bytes });
    await db.put(Uint8Array.of(1), Uint8Array.of(2));
    assertEquals([...db.scan()], [[Uint8Array.of(1), Uint8Array.of(2)]]);
  }));

test("a codec that reuses its buffer does no harm: its bytes are copied", () =>
  withTempDir(async (dir) => {
    const buffer = new Uint8Array(1);
    const reusing: Codec<number> = {
      ordered: true,
      encode(value) {
        buffer[0] = value;
        return buffer;
      },
      decode: (encoded) => encoded[0],
    };
    await using db = await open(dir, { keys: reusing, values: reusing });
    const waiting = [db.put(1, 10), db.put(2, 20), db.deleteRange(3, 5)];
    await Promise.all(waiting);
    assertEquals(db.getMany([1, 2, 3]), [10, 20, undefined]);
    assertEquals([...db.scan({ gte: 1, lt: 2 })], [[1, 10]]);
  }));

test("utf8 refuses a lone surrogate, and json what is not JSON", () =>
  withTempDir(async (dir) => {
    await using db = await open(dir, { keys: utf8, values: json<unknown>() });
    await rejectsWith("INVALID_ARGUMENT", () => db.put("\ud800", 1));
    await rejectsWith("INVALID_ARGUMENT", () => db.put("a", undefined));
    // deno-lint-ignore no-explicit-any -- wrong on purpose.
    await rejectsWith("INVALID_ARGUMENT", () => db.put(1 as any, 1));
    assertEquals([...db.scan()], []);
    for (const value of [null, 0, "", [], {}, "text", [1, { a: null }]]) {
      await db.put("k", value);
      assertEquals(db.get("k"), value);
    }
  }));
