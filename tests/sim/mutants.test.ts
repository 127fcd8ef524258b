/**
 * The mutants are complete, and each can still be made: no change of the
 * engine loses one silently. That the simulator finds them is shown by
 * `deno task mutants`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertNotEquals } from "../assert.ts";
import { MUTANTS } from "./mutants_list.ts";
import { engineFiles, marksIn, mutate } from "./mutants_marks.ts";

const FILES = engineFiles(fileURLToPath(new URL("../../", import.meta.url)));
const MARKS = FILES.flatMap(marksIn);

/** A call that makes something durable. */
const SYNC = /\.(sync|syncNow|syncDirectory)\(/;
/** Where what was read meets the checksum that it should have. */
const COMPARISONS: readonly RegExp[] = [
  /[!=]==? *\n? *(checksum|sectionChecksum|footerChecksum)\(/,
  /\b(sum|expected) *[!=]== *getU32\(/,
  /\bgetU32\([^)]*\) *[!=]== *(sum|expected)\b/,
  /\bfound *[!=]== *expected\b/,
  /\bencode\(current\) *[!=]== *text\b/,
];

/** Where a pattern stands in the engine, and whether a mark is right above. */
function placesOf(pattern: RegExp): { place: string; isMarked: boolean }[] {
  return FILES.flatMap(({ path, text }) => {
    const code = text.replaceAll(
      /\/\*[^]*?\*\/|(?<=^ *)\/\/.*$/gm,
      (comment) => comment.replaceAll(/[^\n]/g, " "),
    );
    const starts = MARKS.filter((mark) => mark.path === path)
      .map(({ start }) => start);
    return [...code.matchAll(new RegExp(pattern, "g"))].map(({ index }) => {
      const line = text.lastIndexOf("\n", index) + 1;
      return {
        place: `${path}: ${text.slice(line, text.indexOf("\n", index)).trim()}`,
        isMarked: starts.includes(line),
      };
    });
  });
}

function checkMarked(pattern: RegExp): number {
  const places = placesOf(pattern);
  const bare = places.filter(({ isMarked }) => !isMarked);
  assertEquals(bare.map(({ place }) => place), []);
  return places.length;
}

describe("mutants", () => {
  test("every call that syncs is marked", () => {
    assert(checkMarked(SYNC) >= 14);
  });

  test("every comparison of checksums is marked", () => {
    const counts = COMPARISONS.map(checkMarked);
    assert(counts.every((count) => count > 0), `${counts}`);
  });

  test("every file that computes checksums compares one", () => {
    const compares = new Set(
      COMPARISONS.flatMap(placesOf).map(({ place }) => place.split(":")[0]),
    );
    const computes = FILES.filter(({ text }) =>
      /\b(checksum|sectionChecksum)\(/.test(text)
    ).map(({ path }) => path);
    assertEquals(
      computes.filter((path) => !compares.has(path)),
      ["lib/sstable/writer.ts"], // It only writes.
    );
  });

  test("marks and list have the same mutants", () => {
    const names = MARKS.flatMap(({ name }) => name ?? []);
    assertEquals(names.toSorted(), [...MUTANTS.keys()].sort());
  });

  test("what is stored found mutants that there are", () => {
    const stored = new URL("./mutants_found.json", import.meta.url);
    const names = Object.keys(JSON.parse(readFileSync(stored, "utf8")));
    const simulated = [...MUTANTS].filter(([, { test }]) => test === undefined)
      .map(([name]) => name);
    assertEquals(names.filter((name) => !simulated.includes(name)), []);
  });

  for (const [name, { change }] of MUTANTS) {
    test(`${name} can be made`, () => {
      const mark = MARKS.find((mark) => mark.name === name);
      const file = FILES.find(({ path }) => path === mark?.path);
      assert(mark !== undefined && file !== undefined);
      assertNotEquals(mutate(file.text, mark, change), file.text);
    });
  }
});
