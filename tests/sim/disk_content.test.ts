import { describe, test } from "node:test";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStrictEquals,
  assertThrows,
} from "../assert.ts";
import { Random } from "../engine/support/random.ts";
import { BLOCK_BYTES, Content } from "./disk_content.ts";

function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 0xff);
}

/** What a write makes of an array. */
function written(old: Uint8Array, bytes: Uint8Array, position: number) {
  if (bytes.length === 0) return old;
  const end = Math.max(old.length, position + bytes.length);
  const result = new Uint8Array(end);
  result.set(old);
  result.set(bytes, position);
  return result;
}

describe("Content", () => {
  test("is what was written, whatever is copied in between", () => {
    const random = new Random(1);
    let all: { content: Content; bytes: Uint8Array }[] = [
      { content: new Content(), bytes: new Uint8Array(0) },
    ];
    for (let step = 0; step < 3000; step++) {
      const one = random.pick(all);
      if (random.chance(20)) {
        all.push({ content: one.content.copy(), bytes: one.bytes });
        all = all.slice(-6);
      } else if (random.chance(5)) one.content.share();
      const length = random.pick([0, 1, 100, 4096, 5000, 20000]);
      const position = random.pick([0, 4096, 8192, random.below(30000)]);
      const bytes = pattern(length, step);
      one.content = one.content.writable();
      one.content.write(bytes, position);
      one.bytes = written(one.bytes, bytes, position);
      const { content, bytes: expected } = random.pick(all);
      assertEquals(content.length, expected.length);
      assertEquals(content.slice(), expected);
    }
  });

  test("reads at any position, and no further than its end", () => {
    const content = new Content();
    const bytes = pattern(10_000, 3);
    content.write(bytes, 0);
    const random = new Random(2);
    for (let i = 0; i < 300; i++) {
      const position = random.below(11_000);
      const into = new Uint8Array(random.below(9000)).fill(0xee);
      const expected = into.slice();
      expected.set(bytes.subarray(position, position + into.length));
      const count = Math.min(into.length, Math.max(0, 10_000 - position));
      assertEquals(content.read(into, position), count);
      assertEquals(into, expected);
    }
  });

  test("holes are zeros, over what lay in the reader's buffer too", () => {
    const content = new Content();
    content.write(pattern(3, 1), 3 * BLOCK_BYTES + 5);
    content.extend(5 * BLOCK_BYTES);
    const into = new Uint8Array(content.length).fill(0xee);
    assertEquals(content.read(into, 0), 5 * BLOCK_BYTES);
    const expected = new Uint8Array(5 * BLOCK_BYTES);
    expected.set(pattern(3, 1), 3 * BLOCK_BYTES + 5);
    assertEquals(into, expected);
  });

  test("a write into a page that another write filled leaves that write alone", () => {
    const bytes = pattern(2 * BLOCK_BYTES, 1);
    const content = new Content();
    content.write(bytes, 0);
    content.write(pattern(9, 2), 10);
    assertEquals(bytes, pattern(2 * BLOCK_BYTES, 1));
    content.write(bytes, 0); // Filled again: what was its own page no longer is.
    content.write(pattern(9, 2), 10);
    assertEquals(bytes, pattern(2 * BLOCK_BYTES, 1));
  });

  test("one that is shared refuses to change", () => {
    const content = new Content();
    content.write(pattern(3, 1), 0);
    assertStrictEquals(content.writable(), content);
    assertStrictEquals(content.share(), content);
    assertThrows(() => content.write(pattern(3, 1), 0), Error, "shared");
    assertThrows(() => content.extend(100), Error, "shared");
    assert(content.writable() !== content);
    assertThrows(() => Content.EMPTY.write(pattern(1, 1), 0), Error, "shared");
  });

  test("checksums tell contents apart, and nothing else", () => {
    const one = new Content();
    one.write(pattern(10_000, 1), 0);
    const other = new Content();
    for (let at = 0; at < 10_000; at += 1000) {
      other.write(pattern(10_000, 1).subarray(at, at + 1000), at);
    }
    assertEquals(one.checksum(), other.checksum());
    const longer = one.copy();
    longer.extend(10_001);
    assertNotEquals(longer.checksum(), one.checksum());
    const changed = one.copy();
    changed.write(pattern(1, 77), 5000);
    assertNotEquals(changed.checksum(), one.checksum());
    changed.write(pattern(10_000, 1).subarray(5000, 5001), 5000);
    assertEquals(changed.checksum(), one.checksum());
    const hole = new Content();
    hole.extend(5000);
    const zeros = new Content();
    zeros.write(new Uint8Array(5000), 0);
    assertEquals(hole.checksum(), zeros.checksum());
  });
});
