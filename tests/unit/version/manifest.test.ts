/** The manifest: round trips, torn ends, damage. */
import { test } from "node:test";
import { placeSeed } from "../../../lib/encoding/checksum.ts";
import { putU32 } from "../../../lib/encoding/fixed.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { Edit } from "../../../lib/version/edit.ts";
import {
  type ManifestContent,
  ManifestFollower,
  ManifestWriter,
  readManifest,
} from "../../../lib/version/manifest.ts";
import { assert, assertEquals, assertGreater } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { LONG } from "../../engine/support/configs.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { toBytes } from "../support/entries.ts";
import { metaOf } from "../support/metas.ts";
import { newFiles } from "../support/tables.ts";

const NUMBER = 5;
const PATH = "/db/MANIFEST-000005";

interface Made {
  readonly files: MemoryFileSystem;
  readonly bytes: Uint8Array;
  /** How long each edit made the file, the header's length first. */
  readonly lengths: number[];
}

const EDITS: Edit[] = [
  {
    nextFileNumber: 4,
    lastSequence: 9,
    addLogs: [{ number: 2, syncedLength: 36 }],
  },
  { addTables: [{ level: 0, table: metaOf({ number: 3 }) }] },
  {
    sealLogs: [{ number: 2, length: 77, lastSequence: 12 }],
    addLogs: [{ number: 4, syncedLength: 36 }],
    nextFileNumber: 5,
  },
  { removeTables: [3], removeLogs: [2], lastSequence: 12 },
];

function make(edits: readonly Edit[] = EDITS, files = newFiles()): Made {
  const manifest = new ManifestWriter(files, PATH, NUMBER);
  const lengths = [manifest.bytes];
  for (const edit of edits) {
    manifest.append(edit);
    lengths.push(manifest.bytes);
  }
  manifest.close();
  return { files, bytes: files.readFile(PATH), lengths };
}

function read(files: MemoryFileSystem, snapshotLength = 0): ManifestContent {
  return readManifest(files, PATH, NUMBER, snapshotLength);
}

test("what is appended comes back", () => {
  const { files, bytes, lengths } = make();
  assertEquals(lengths.at(-1), bytes.length);
  const { state, tornBytes, end } = read(files, lengths[1]);
  assertEquals([tornBytes, end], [0, bytes.length]);
  assertEquals(state.nextFileNumber, 5);
  assertEquals(state.lastSequence, 12);
  assertEquals([...state.tables.keys()], []);
  assertEquals([...state.logs], [
    [4, { syncedLength: 36, seal: undefined }],
  ]);
});

test("each edit is durable when append() returns", () => {
  const files = newFiles();
  const manifest = new ManifestWriter(files, PATH, NUMBER);
  for (const [i, edit] of EDITS.entries()) {
    manifest.append(edit);
    files.syncDirectory("/db");
    const survived = files.afterPowerLoss();
    assertEquals(survived.readFile(PATH).length, manifest.bytes, `edit ${i}`);
    read(survived);
  }
});

test(
  "a manifest cut at any length has the edits that are whole; below its first record it is CORRUPTION",
  LONG,
  () => {
    const { files, bytes, lengths } = make();
    const [header, snapshot] = lengths;
    for (let length = 0; length <= bytes.length; length++) {
      files.writeFile(PATH, bytes.subarray(0, length));
      if (length < snapshot) {
        throwsWith("CORRUPTION", () => read(files, snapshot));
      }
      if (length < header) {
        throwsWith("CORRUPTION", () => read(files));
        continue;
      }
      const end = lengths.findLast((whole) => whole <= length) ?? header;
      const content = read(files);
      assertEquals([content.end, content.tornBytes], [end, length - end]);
      const expected = read(make(EDITS.slice(0, lengths.indexOf(end))).files);
      assertEquals(content.state.snapshot(), expected.state.snapshot());
    }
  },
);

test(
  "any byte changed is CORRUPTION, but in the last record: that may be torn",
  LONG,
  () => {
    const { files, bytes, lengths } = make();
    const last = lengths[lengths.length - 2];
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] ^= 1 << (at % 8);
      files.writeFile(PATH, damaged);
      if (at < last) throwsWith("CORRUPTION", () => read(files, lengths[1]));
      else assertEquals(read(files, lengths[1]).end, last, `byte ${at}`);
    }
  },
);

test("two damaged records at the end are no torn end", () => {
  const { files, bytes, lengths } = make();
  // Of both only the last byte, which is the edit's: their headers are whole.
  bytes[lengths[3] - 1] ^= 1;
  bytes[lengths[4] - 1] ^= 1;
  files.writeFile(PATH, bytes);
  throwsWith("CORRUPTION", () => read(files, lengths[1]));
});

test("one record only: any byte of it changed is CORRUPTION", () => {
  const { files, bytes, lengths } = make(EDITS.slice(0, 1));
  for (let at = 0; at < bytes.length; at++) {
    const damaged = bytes.slice();
    damaged[at] ^= 0x40;
    files.writeFile(PATH, damaged);
    throwsWith("CORRUPTION", () => read(files, lengths[1]));
  }
});

test("zeros or garbage behind the last record are torn bytes", () => {
  const { files, bytes, lengths } = make();
  const tails = [new Uint8Array(3000), filled(3000, 5), Uint8Array.of(1)];
  for (const tail of tails) {
    const longer = new Uint8Array(bytes.length + tail.length);
    longer.set(bytes);
    longer.set(tail, bytes.length);
    files.writeFile(PATH, longer);
    const { end, tornBytes } = read(files, lengths[1]);
    assertEquals([end, tornBytes], [bytes.length, tail.length]);
  }
});

test("a record in the wrong place is not taken, whole as it is", () => {
  const { files, bytes, lengths } = make();
  // The second record is left out: the third one then stands elsewhere.
  const gone = new Uint8Array([
    ...bytes.subarray(0, lengths[1]),
    ...bytes.subarray(lengths[2]),
  ]);
  files.writeFile(PATH, gone);
  assertEquals(read(files, lengths[1]).end, lengths[1]);
  // The last record comes once more.
  const last = bytes.subarray(lengths[3]);
  files.writeFile(PATH, new Uint8Array([...bytes, ...last]));
  assertEquals(read(files, lengths[1]).end, bytes.length);
});

test("an edit that is none, or does not fit, is CORRUPTION, though its checksum matches", () => {
  const misfits: Edit[][] = [
    [...EDITS, { removeTables: [3] }],
    [...EDITS, { addLogs: [{ number: 4, syncedLength: 36 }] }],
    [{ removeLogs: [1] }],
  ];
  for (const edits of misfits) {
    throwsWith("CORRUPTION", () => read(make(edits).files));
  }
});

test("the manifest of another number is CORRUPTION", () => {
  const { files } = make();
  throwsWith("CORRUPTION", () => readManifest(files, PATH, NUMBER + 1, 0));
});

test("a read error is IO", () => {
  const { files } = make();
  files.onOperation = (operation) => {
    if (operation !== "read") return;
    throw Object.assign(new Error("made by the test"), { code: "EIO" });
  };
  throwsWith("IO", () => read(files));
});

test("a write or sync that fails throws; a manifest never takes another's place", () => {
  const { files } = make();
  throwsWith("IO", () => new ManifestWriter(files, PATH, NUMBER));
  for (const operation of ["write", "sync"] as const) {
    const other = newFiles();
    const manifest = new ManifestWriter(other, PATH, NUMBER);
    const { bytes } = manifest;
    other.onOperation = (happening) => {
      if (happening !== operation) return;
      throw Object.assign(new Error("made by the test"), { code: "ENOSPC" });
    };
    throwsWith("IO", () => manifest.append(EDITS[0]));
    assertEquals(manifest.bytes, bytes);
  }
});

test("a manifest of thousands of edits, torn, is read in time", LONG, () => {
  const edits = Array.from({ length: 3000 }, (_, i): Edit => ({
    addTables: [{ level: 0, table: metaOf({ number: i + 1 }) }],
  }));
  const { files, bytes, lengths } = make(edits);
  files.writeFile(PATH, bytes.subarray(0, bytes.length - 1));
  const { state, tornBytes } = read(files, lengths[1]);
  assertEquals(state.tables.size, 2999);
  assertGreater(tornBytes, 0);
  assert(bytes.length > 50_000);
});

test("tables of a level that overlap are damage, but not in level 0, and not for a while", () => {
  const table = (number: number, level: number, key: string) => ({
    level,
    table: metaOf({ number, smallest: toBytes(key), largest: toBytes("m") }),
  });
  const [a, b] = [table(3, 1, "a"), table(4, 1, "b")];
  const { files } = make([{ addTables: [a] }, { addTables: [b] }]);
  const error = throwsWith("CORRUPTION", () => read(files));
  assert(error.message.includes("overlap"), error.message);
  const later = make([
    { addTables: [a] },
    { addTables: [b] },
    { removeTables: [3] },
  ]);
  assertEquals([...read(later.files).state.tables.keys()], [4]);
  const young = make([{ addTables: [table(3, 0, "a"), table(4, 0, "b")] }]);
  assertEquals(read(young.files).state.tables.size, 2);
});

test("a follower knows what was committed, in one step or in many", () => {
  const { files, lengths } = make();
  const [header, ...ends] = lengths;
  for (let first = 0; first <= ends.length; first++) {
    const follower = new ManifestFollower(files, PATH, NUMBER);
    for (const end of [header, ...ends].slice(first)) {
      follower.follow(end);
      const edits = EDITS.slice(0, lengths.indexOf(end));
      const expected = read(make(edits).files).state.snapshot();
      assertEquals(follower.state.snapshot(), expected);
      follower.follow(end);
      follower.follow(header);
      assertEquals(follower.state.snapshot(), expected);
    }
    follower.close();
  }
});

test("a follower takes nothing but whole records of its manifest", LONG, () => {
  const { files, bytes, lengths } = make();
  const end = bytes.length;
  const follow = (number: number, to: number) => {
    const follower = new ManifestFollower(files, PATH, number);
    try {
      follower.follow(to);
    } finally {
      follower.close();
    }
  };
  throwsWith("CORRUPTION", () => follow(NUMBER + 1, end));
  throwsWith("CORRUPTION", () => follow(NUMBER, end + 1));
  throwsWith("CORRUPTION", () => follow(NUMBER, lengths[1] + 1));
  for (let at = 0; at < end; at++) {
    const changed = bytes.slice();
    changed[at] ^= 0x40;
    files.writeFile(PATH, changed);
    throwsWith("CORRUPTION", () => follow(NUMBER, end));
  }
});

/** The manifest with a record behind it that is whole, whatever it says. */
function withRecord({ files, bytes }: Made, payload: Uint8Array): number {
  const record = new Uint8Array(12 + payload.length);
  const seed = placeSeed(NUMBER, bytes.length);
  putU32(record, 4, checksum(payload, seed));
  putU32(record, 8, payload.length);
  putU32(record, 0, checksum(record.subarray(4, 12), seed));
  record.set(payload, 12);
  files.writeFile(PATH, Uint8Array.of(...bytes, ...record));
  return bytes.length + record.length;
}

test("a whole record that says nothing, or what cannot be, is damage: to who opens and to who follows", () => {
  const impossible = make([...EDITS, { removeTables: [99] }]);
  const unreadable = make();
  const length = withRecord(unreadable, Uint8Array.of(0xff, 0xff, 0xff));
  const cases: [Made, number, string][] = [
    [impossible, impossible.bytes.length, "one that removes table 99"],
    [unreadable, length, "one that cannot be read"],
  ];
  for (const [{ files, lengths }, end, words] of cases) {
    const error = throwsWith("CORRUPTION", () => read(files));
    assert(error.message.includes(words), error.message);
    const follower = new ManifestFollower(files, PATH, NUMBER);
    follower.follow(lengths[EDITS.length]);
    const other = throwsWith("CORRUPTION", () => follower.follow(end));
    assert(other.message.includes(words), other.message);
    assertEquals(follower.state.lastSequence, 12);
    follower.close();
  }
});
