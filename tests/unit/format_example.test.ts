/**
 * The worked example of docs/FORMAT.md is what the engine writes, byte for
 * byte: a change of a format shows here, and the document stays true.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Batch } from "../../mod.ts";
import { openWith } from "../../lib/open.ts";
import { MemoryFileSystem, memoryRuntime } from "../../lib/runtime/memory.ts";
import { assertEquals, assertGreater } from "../assert.ts";

const DOCUMENT = new URL("../../docs/FORMAT.md", import.meta.url);

/** The bytes under a heading: each line is an offset, hex pairs, and words behind two spaces. */
function documented(heading: string): string[] {
  const text = readFileSync(DOCUMENT, "utf8");
  const section = text.slice(text.indexOf(`### ${heading}`));
  const block = section.slice(
    section.indexOf("```text\n") + 8,
    section.indexOf("\n```", section.indexOf("```text\n") + 8),
  );
  const bytes: string[] = [];
  for (const line of block.split("\n")) {
    const match = /^([0-9a-f]{2}) {2}((?:[0-9a-f]{2} ?)+)(?: |$)/.exec(line);
    if (match === null) continue;
    assertEquals(parseInt(match[1], 16), bytes.length, `offset of: ${line}`);
    bytes.push(...match[2].trim().split(" "));
  }
  return bytes;
}

function hex(bytes: Uint8Array): string[] {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"));
}

test("the worked example of docs/FORMAT.md is what the engine writes", async () => {
  const files = new MemoryFileSystem();
  const runtime = memoryRuntime(files, { clock: () => 1_700_000_000_000 });
  await using db = await openWith(runtime, "/db");
  await db.put("apple", "red");
  await db.write(
    new Batch().put("apricot", "gold").delete("apple").deleteRange("b", "c"),
  );
  const written = new Map([["000001.vlog", files.readFile("/db/000001.vlog")]]);
  await db.flush();
  for (const name of ["000004.vtab", "MANIFEST-000002", "CURRENT"]) {
    written.set(name, files.readFile(`/db/${name}`));
  }
  for (const [name, bytes] of written) {
    if (name === "CURRENT") continue;
    const expected = documented(name);
    assertGreater(expected.length, 0, name);
    assertEquals(expected, hex(bytes), name);
  }
});
