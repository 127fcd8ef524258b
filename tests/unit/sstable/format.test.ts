/** The footer and the trailers of sections. */
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { getU32, putU32 } from "../../../lib/encoding/fixed.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import {
  decodeFooter,
  encodeFooter,
  type Footer,
  FOOTER_LENGTH,
  sectionChecksum,
  verifySection,
} from "../../../lib/sstable/format.ts";
import { assertEquals, assertStringIncludes } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { throwsWith } from "../../engine/support/errors.ts";

const FOOTER: Footer = {
  index: { offset: 2 ** 40, length: 2 ** 31 + 5 },
  filter: { offset: 100, length: 64 },
  ranges: { offset: 0, length: 0 },
  properties: { offset: 2 ** 41, length: 77 },
  number: 2 ** 32 - 1,
  baseSequence: 2 ** 47 + 3,
  mayBeCompressed: false,
};
const FILE_LENGTH = 2 ** 42;

function decode(
  bytes: Uint8Array,
  number = FOOTER.number,
  length = FILE_LENGTH,
): Footer {
  return decodeFooter(bytes, "/db/t", number, length);
}

test("a footer comes back", () => {
  const bytes = encodeFooter(FOOTER);
  assertEquals(bytes.length, FOOTER_LENGTH);
  assertEquals(decode(bytes), FOOTER);
  const compressed = { ...FOOTER, mayBeCompressed: true };
  assertEquals(decode(encodeFooter(compressed)), compressed);
});

test("a footer holds a number of 48 bits, as its format says", () => {
  const footer = { ...FOOTER, number: 2 ** 48 - 1 };
  assertEquals(decode(encodeFooter(footer), footer.number), footer);
});

test("a footer with any byte changed is CORRUPTION, and the message says where", () => {
  const bytes = encodeFooter(FOOTER);
  for (let at = 0; at < FOOTER_LENGTH; at++) {
    for (const flip of [0x01, 0x80]) {
      const damaged = bytes.slice();
      damaged[at] ^= flip;
      const error = throwsWith("CORRUPTION", () => decode(damaged));
      assertStringIncludes(error.message, "/db/t");
    }
  }
});

test("the footer of another table is CORRUPTION", () => {
  throwsWith("CORRUPTION", () => decode(encodeFooter(FOOTER), 5));
});

test("sections that leave the file are CORRUPTION", () => {
  const end = 1000;
  const inside = { offset: 0, length: end - FOOTER_LENGTH - 5 };
  const sound: Footer = {
    ...FOOTER,
    index: inside,
    filter: inside,
    ranges: inside,
    properties: inside,
  };
  assertEquals(decode(encodeFooter(sound), FOOTER.number, end), sound);
  for (const name of ["index", "filter", "ranges", "properties"] as const) {
    const footer = { ...sound, [name]: { offset: 1, length: inside.length } };
    const bytes = encodeFooter(footer);
    throwsWith("CORRUPTION", () => decode(bytes, FOOTER.number, end));
  }
});

test("a version to come is refused by name, not taken for damage of the sum", () => {
  const bytes = encodeFooter(FOOTER);
  for (const version of [0, 4]) {
    putU32(bytes, 52, version);
    putU32(bytes, 60, checksum(bytes.subarray(0, 60), FOOTER.number));
    const error = throwsWith("CORRUPTION", () => decode(bytes));
    assertStringIncludes(error.message, "version");
    assertStringIncludes(error.message, `found ${version}`);
  }
});

test("version 1 is read, 2 is written, and 3 if blocks may be compressed", () => {
  const bytes = encodeFooter(FOOTER);
  assertEquals(getU32(bytes, 52), 2);
  const compressed = encodeFooter({ ...FOOTER, mayBeCompressed: true });
  assertEquals(getU32(compressed, 52), 3);
  putU32(bytes, 52, 1);
  putU32(bytes, 60, checksum(bytes.subarray(0, 60), FOOTER.number));
  assertEquals(decode(bytes), FOOTER);
});

/** A section of 50 bytes at offset 4096 of table 3, from byte 7 of a buffer on. */
function section(compression = 0): Uint8Array {
  const bytes = filled(80);
  bytes[57] = compression;
  putU32(bytes, 58, sectionChecksum(bytes, 7, 58, 3, 4096));
  return bytes;
}

function verify(bytes: Uint8Array, table = 3, offset = 4096): void {
  verifySection(bytes, 7, 50, "/db/t", table, offset);
}

test("a section verifies in its own place only", () => {
  verify(section());
  throwsWith("CORRUPTION", () => verify(section(), 4));
  throwsWith("CORRUPTION", () => verify(section(), 3, 4097));
  throwsWith("CORRUPTION", () => verify(section(), 3, 4096 + 2 ** 32));
});

test("a section with any byte changed is CORRUPTION", () => {
  for (let at = 7; at < 62; at++) {
    const bytes = section();
    bytes[at] ^= 0x10;
    throwsWith("CORRUPTION", () => verify(bytes));
  }
});

test("a compression to come is refused by name", () => {
  const error = throwsWith("CORRUPTION", () => verify(section(1)));
  assertStringIncludes(error.message, "compression 0");
  assertEquals(error instanceof VarveError, true);
});
