/** All that a power loss can leave: no more, and no less. */
import { describe, test } from "node:test";
import { assert, assertEquals } from "../assert.ts";
import { BLOCK_BYTES, Content } from "./disk_content.ts";
import { survivingChanges, survivingContent } from "./disk_fates.ts";
import { eachRoll, everyOutcome } from "./every_roll.ts";

const encoder = new TextEncoder();

/** A content with these characters. */
function contentOf(text: string): Content {
  const content = new Content();
  content.write(encoder.encode(text), 0);
  return content;
}

/** Every content that can survive; zeros are shown as dots. */
function survivors(
  synced: string,
  ...writes: [position: number, text: string][]
): string[] {
  return everyOutcome((dice) => {
    const unsynced = writes.map(([position, text]) => ({
      position,
      bytes: encoder.encode(text),
    }));
    const left = survivingContent(contentOf(synced), unsynced, dice).slice();
    return new TextDecoder().decode(left).replaceAll("\0", ".");
  });
}

describe("of an unsynced write survives", () => {
  test("all, nothing, what is before or behind a byte, or the length alone", () => {
    assertEquals(survivors("ab", [2, "XYZ"]), [
      "ab", // lost
      "ab...", // its length alone
      "ab..Z",
      "ab.YZ",
      "abX", // torn at a byte
      "abX..",
      "abXY",
      "abXY.",
      "abXYZ", // kept
    ]);
  });

  test("over synced bytes: they stay where it is lost", () => {
    assertEquals(survivors("abc", [1, "XY"]), ["aXY", "aXc", "abY", "abc"]);
  });

  test("behind a gap: zeros where nothing was written", () => {
    assertEquals(survivors("a", [3, "X"]), ["a", "a...", "a..X"]);
  });

  test("any blocks of 4 KiB, at the file's own multiples", () => {
    const length = 2 * BLOCK_BYTES;
    const bytes = new Uint8Array(length).fill(1);
    const position = BLOCK_BYTES - 1000; // In three blocks: 1000, 4096, 3096.
    const patterns = new Set<string>();
    eachRoll((dice) => {
      // Only the fate "blocks": the first die is the manner.
      let isFirst = true;
      const blocks = {
        below(bound: number) {
          const roll = isFirst ? 3 : dice.below(bound);
          isFirst = false;
          return roll;
        },
      };
      const left = survivingContent(
        Content.EMPTY,
        [{ position, bytes }],
        blocks,
      )
        .slice();
      const padded = new Uint8Array(position + length);
      padded.set(left);
      const parts = [
        padded.subarray(position, BLOCK_BYTES),
        padded.subarray(BLOCK_BYTES, 2 * BLOCK_BYTES),
        padded.subarray(2 * BLOCK_BYTES),
      ];
      for (const part of parts) {
        assert(part.every((byte) => byte === part[0]), "a block is torn");
      }
      assertEquals(padded.subarray(0, position), new Uint8Array(position));
      patterns.add(parts.map((part) => part[0]).join("") + ` ${left.length}`);
    });
    const full = position + length;
    const lengths = [0, BLOCK_BYTES, 2 * BLOCK_BYTES, full];
    const expected = ["000", "001", "010", "011", "100", "101", "110", "111"]
      .flatMap((kept) => [
        `${kept} ${lengths[kept.lastIndexOf("1") + 1]}`,
        `${kept} ${full}`,
      ]);
    assertEquals([...patterns].sort(), [...new Set(expected)].sort());
  });
});

describe("of several unsynced writes survive", () => {
  test("any, also a later one without an earlier one", () => {
    const outcomes = survivors("", [0, "A"], [1, "B"], [2, "C"]);
    const whole = ["", "A", "AB", "ABC", "A.C", ".B", ".BC", "..C"];
    for (const outcome of whole) assert(outcomes.includes(outcome), outcome);
    // And lengths without data; but never a byte that nobody wrote there.
    for (const outcome of outcomes) assert(/^[A.]?[B.]?[C.]?$/.test(outcome));
  });

  test("over each other, in their order: the last that survived shows", () => {
    assertEquals(survivors("a", [0, "X"], [0, "Y"]), ["X", "Y", "a"]);
  });

  test("in one block of the cache, together", () => {
    // Manner 3 is the cache's: one die for the length, one for the block.
    const outcomes = everyOutcome((dice) => {
      const rolls = [3];
      const below = (bound: number) => rolls.shift() ?? dice.below(bound);
      const writes = ["X", "Y"].map((text, i) => ({
        position: 2 * i,
        bytes: encoder.encode(text),
      }));
      const left = survivingContent(contentOf("abc"), writes, { below });
      return new TextDecoder().decode(left.slice());
    });
    assertEquals(outcomes, ["XbY", "abc"]);
  });
});

test("a file without unsynced writes needs no dice", () => {
  const synced = contentOf("abc");
  assertEquals(eachRoll((dice) => survivingContent(synced, [], dice)), 1);
});

test("what was synced is not changed by what survives over it", () => {
  const synced = contentOf("abc");
  eachRoll((dice) => {
    survivingContent(
      synced,
      [{ position: 1, bytes: encoder.encode("XYZ") }],
      dice,
    );
    assertEquals(synced.slice(), encoder.encode("abc"));
  });
});

test("any of the unsynced changes survive, in their order", () => {
  const outcomes = everyOutcome((dice) =>
    survivingChanges(["a", "b", "c"], dice).join("")
  );
  assertEquals(outcomes, ["", "a", "ab", "abc", "ac", "b", "bc", "c"]);
  assertEquals(eachRoll((dice) => survivingChanges([], dice)), 1);
});
