/** The names of the engine's files, and of no others. */
import { test } from "node:test";
import {
  CURRENT,
  CURRENT_TEMPORARY,
  fileName,
  LOCK,
  parseFileName,
} from "../../../lib/version/files.ts";
import { assertEquals } from "../../assert.ts";

test("names are padded to six digits and grow beyond", () => {
  assertEquals(fileName("log", 2), "000002.vlog");
  assertEquals(fileName("table", 999_999), "999999.vtab");
  assertEquals(fileName("table", 1_000_000), "1000000.vtab");
  assertEquals(fileName("manifest", 1), "MANIFEST-000001");
});

test("every name comes back as what it is", () => {
  for (const kind of ["log", "table", "manifest"] as const) {
    for (const number of [0, 1, 999_999, 1_000_000, 2 ** 32, 2 ** 47 - 1]) {
      const name = fileName(kind, number);
      assertEquals(parseFileName(name), { kind, number, name });
    }
  }
});

test("what is not exactly such a name is not the engine's", () => {
  const foreign = [
    "",
    CURRENT,
    CURRENT_TEMPORARY,
    LOCK,
    "1.vlog",
    "00001.vlog",
    "0000001.vlog",
    "000001.VLOG",
    "000001.vlog ",
    " 000001.vlog",
    "000001.vlog.bak",
    "000001.vtab.tmp",
    "000001.log",
    "-00001.vlog",
    "00000a.vlog",
    "1e5000.vlog",
    "MANIFEST-1",
    "MANIFEST-0000001",
    "manifest-000001",
    "MANIFEST-000001.vlog",
    "x000001.vtab",
    "000001.vtab\n",
    "9999999999999999.vlog",
    "\u0660\u0660\u0660\u0660\u0660\u0661.vlog",
  ];
  const taken = foreign.filter((name) => parseFileName(name) !== undefined);
  assertEquals(taken, []);
});

test("a stray file with the greatest number that the formats hold left none for the files behind it", () => {
  for (const number of [2 ** 47, 2 ** 48 - 2, 2 ** 48 - 1]) {
    assertEquals(parseFileName(fileName("table", number)), undefined);
  }
});
