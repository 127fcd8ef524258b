/** Writer and reader of logs: round trips, torn tails, marks, seals, damage. */
import { test } from "node:test";
import {
  encodeGroupHeader,
  FILLER,
  GROUP_HEADER_LENGTH,
  LOG_HEADER_LENGTH,
} from "../../../lib/wal/format.ts";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { File, FileSystem } from "../../../lib/runtime/runtime.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import { putU32 } from "../../../lib/encoding/fixed.ts";
import { isMadeAtOpen, readWhole } from "../../../lib/wal/reader.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
} from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import { LONG } from "../../engine/support/configs.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { Random } from "../../engine/support/random.ts";
import { fromBytes } from "../support/entries.ts";
import {
  LONGEST_KEY,
  longestKey,
  randomKey,
  smallKey,
} from "../support/keys.ts";
import {
  append,
  BEFORE,
  LOG,
  LOG_PATH,
  type LogOperation,
  newLog,
  randomOperation,
  replay,
} from "../support/logs.ts";
import { newFiles } from "../support/tables.ts";

/** One group as it was written: its operations and where it lies. */
interface Group {
  readonly operations: LogOperation[];
  readonly start: number;
  readonly end: number;
  /** What was known to be synced when it was written. */
  readonly mark: number;
}

interface Written {
  readonly files: MemoryFileSystem;
  readonly groups: Group[];
  readonly bytes: Uint8Array;
}

/** Writes random groups; `syncPercent` of them are followed by a sync. */
function writeGroups(
  seed: number,
  count: number,
  syncPercent: number,
  key = smallKey,
): Written {
  const random = new Random(seed);
  const { files, log } = newLog();
  const groups: Group[] = [];
  let sequence = BEFORE;
  let mark = LOG_HEADER_LENGTH;
  for (let i = 0; i < count; i++) {
    const operations: LogOperation[] = [];
    for (let n = 1 + random.below(4); n > 0; n--) {
      operations.push(randomOperation(random, ++sequence, key));
      append(log, operations[operations.length - 1]);
    }
    const start = log.writtenBytes;
    log.write();
    groups.push({ operations, start, end: log.writtenBytes, mark });
    if (!random.chance(syncPercent)) continue;
    log.syncNow();
    mark = log.writtenBytes;
  }
  return { files, groups, bytes: files.readFile(LOG_PATH) };
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function operationsOf(groups: readonly Group[]): LogOperation[] {
  return groups.flatMap((group) => group.operations);
}

/** The last sequence of the groups; the one before the log if there are none. */
function lastSequenceOf(groups: readonly Group[]): number {
  return operationsOf(groups).at(-1)?.sequence ?? BEFORE;
}

test("what is appended comes back, group by group", LONG, () => {
  for (let seed = 1; seed <= 20; seed++) {
    const key = seed % 4 === 0 ? longestKey : randomKey;
    const { files, groups } = writeGroups(seed, 15, 30, key);
    const { operations, header, seal, lostTailBytes } = replay(files);
    assertEquals(operations, operationsOf(groups), `seed ${seed}`);
    assertEquals(lostTailBytes, 0);
    const { end } = groups[groups.length - 1];
    assertEquals(seal, { length: end, lastSequence: lastSequenceOf(groups) });
    assertEquals(header.previous, 2);
    assertEquals(header.lastSequenceBefore, BEFORE);
    assertEquals(header.isMadeAtOpen, false);
  }
});

test("the extremes: empty keys and values, the longest key, a value of 10 MiB, no end", () => {
  const { files, log } = newLog();
  const operations: LogOperation[] = [
    { sequence: 101, kind: 0, key: "", value: "" },
    { sequence: 102, kind: 1, key: "", value: "" },
    { sequence: 103, kind: 2, key: "", value: "" },
    { sequence: 104, kind: 0, key: "k".repeat(LONGEST_KEY), value: "v" },
    {
      sequence: 105,
      kind: 0,
      key: "k",
      value: fromBytes(filled(10 * 2 ** 20)),
    },
    { sequence: 106, kind: 2, key: "\0", value: "\xff" },
  ];
  for (const operation of operations) append(log, operation);
  log.write();
  assertEquals(replay(files).operations, operations);
});

test("sequences may go up to 48 bits", () => {
  const files = newFiles();
  const { log } = newLog(files);
  const operation = { sequence: 2 ** 48 - 1, kind: 0, key: "k", value: "v" };
  append(log, operation);
  log.write();
  assertEquals(replay(files).operations, [operation]);
});

test("sequences with a hole between them come back as they were given", () => {
  // Numbers of writes that were lost are burned: the next write skips them.
  const hole = [101, 102, 107].map((sequence) => ({
    sequence,
    kind: 0,
    key: `k${sequence}`,
    value: "",
  }));
  const apart = newLog();
  for (const operation of hole) {
    append(apart.log, operation);
    apart.log.write();
  }
  assertEquals(replay(apart.files).operations, hole);
  const together = newLog();
  for (const operation of hole) append(together.log, operation);
  together.log.write();
  const { operations, seal } = replay(together.files);
  assertEquals(operations, hole, "appended without a write between them");
  assertEquals(seal.lastSequence, together.log.lastSequence);
});

test(
  "a log cut at any length gives the groups that are whole, and tells what was lost",
  LONG,
  () => {
    for (const seed of [1, 2]) {
      const { files, groups, bytes } = writeGroups(seed, 6, 50);
      for (let length = LOG_HEADER_LENGTH; length <= bytes.length; length++) {
        files.writeFile(LOG_PATH, bytes.subarray(0, length));
        const whole = groups.filter(({ end }) => end <= length);
        const end = whole.at(-1)?.end ?? LOG_HEADER_LENGTH;
        const { operations, seal, lostTailBytes } = replay(files);
        const message = `seed ${seed}, cut at ${length}`;
        assertEquals(operations, operationsOf(whole), message);
        assertEquals(
          seal,
          { length: end, lastSequence: lastSequenceOf(whole) },
          message,
        );
        assertEquals(lostTailBytes, length - end, message);
      }
    }
  },
);

test("a log cut within its header is CORRUPTION: it was synced before it counted", () => {
  const { files, bytes } = writeGroups(1, 1, 0);
  for (let length = 0; length < LOG_HEADER_LENGTH; length++) {
    files.writeFile(LOG_PATH, bytes.subarray(0, length));
    throwsWith("CORRUPTION", () => replay(files));
  }
});

test("a header with any byte changed, or of another log, is CORRUPTION", () => {
  const { files, bytes } = writeGroups(1, 2, 0);
  for (let at = 0; at < LOG_HEADER_LENGTH; at++) {
    const damaged = bytes.slice();
    damaged[at] ^= 0x04;
    files.writeFile(LOG_PATH, damaged);
    throwsWith("CORRUPTION", () => replay(files));
  }
  files.writeFile(LOG_PATH, bytes);
  throwsWith("CORRUPTION", () => replay(files, undefined, 4));
});

test("zeros or garbage behind the last group are a lost tail", () => {
  const { files, groups, bytes } = writeGroups(3, 4, 100);
  for (
    const [name, tail] of [
      ["zeros", new Uint8Array(5000)],
      ["garbage", filled(5000, 77)],
    ] as const
  ) {
    files.writeFile(LOG_PATH, joined(bytes, tail));
    const { operations, lostTailBytes } = replay(files);
    assertEquals(operations, operationsOf(groups), name);
    assertEquals(lostTailBytes, 5000, name);
  }
});

test("filler behind the last group, or behind a torn one, is not counted as lost", () => {
  const { files, groups, bytes } = writeGroups(3, 4, 100);
  const filler = new Uint8Array(5000).fill(FILLER);
  const torn = filled(70, 78);
  for (const [tail, lost] of [[new Uint8Array(0), 0], [torn, 70]] as const) {
    files.writeFile(LOG_PATH, joined(bytes, tail, filler));
    const { operations, lostTailBytes } = replay(files);
    assertEquals(operations, operationsOf(groups));
    assertEquals(lostTailBytes, lost);
  }
});

test("filler where a synced group was is CORRUPTION", () => {
  const { files, groups, bytes } = writeGroups(3, 4, 100);
  files.writeFile(LOG_PATH, bytes.slice().fill(FILLER, groups[0].end));
  throwsWith("CORRUPTION", () => replay(files, undefined, LOG, groups[1].end));
});

test(
  "any byte of any group changed: damage below the highest mark behind it, a lost tail above",
  LONG,
  () => {
    for (const [seed, syncPercent] of [[1, 0], [2, 50], [3, 100]]) {
      const { files, groups, bytes } = writeGroups(seed, 5, syncPercent);
      let lost = 0;
      let damaged = 0;
      for (const [i, { start, end }] of groups.entries()) {
        // Of a long value, every byte would be more of the same.
        const step = Math.max(1, Math.floor((end - start) / 60));
        for (let at = start; at < end; at += at < start + 40 ? 1 : step) {
          const broken = bytes.slice();
          broken[at] ^= 1 << (at % 8);
          files.writeFile(LOG_PATH, broken);
          const mark = Math.max(0, ...groups.slice(i + 1).map((g) => g.mark));
          const message = `seed ${seed}, byte ${at} of group ${i}`;
          if (mark > start) {
            const error = throwsWith("CORRUPTION", () => replay(files));
            assertStringIncludes(error.message, LOG_PATH);
            damaged++;
            continue;
          }
          const { operations, lostTailBytes } = replay(files);
          assertEquals(operations, operationsOf(groups.slice(0, i)), message);
          assertEquals(lostTailBytes, bytes.length - start, message);
          lost++;
        }
      }
      assertGreater(lost, 0);
      assertEquals(damaged > 0, syncPercent > 0);
    }
  },
);

test("a mark is found behind any damage, even of the lengths before it", () => {
  const { files, log } = newLog();
  const operation = (sequence: number) => ({
    sequence,
    kind: 0,
    key: `k${sequence}`,
    value: "v".repeat(500),
  });
  append(log, operation(101));
  log.write();
  log.syncNow();
  append(log, operation(102));
  log.write();
  const bytes = files.readFile(LOG_PATH);
  const second = log.writtenBytes - (log.writtenBytes - LOG_HEADER_LENGTH) / 2;
  // All of the first group, its header included.
  bytes.fill(0, LOG_HEADER_LENGTH, second);
  files.writeFile(LOG_PATH, bytes);
  throwsWith("CORRUPTION", () => replay(files));
  bytes.fill(0xff, LOG_HEADER_LENGTH, second);
  files.writeFile(LOG_PATH, bytes);
  throwsWith("CORRUPTION", () => replay(files));
});

test("a group that is whole but stands in the wrong place is not taken", () => {
  const { files, groups, bytes } = writeGroups(4, 3, 0);
  const [first, second] = groups;
  const group = bytes.slice(second.start, second.end);
  const moved = new Uint8Array(first.end + group.length + 1);
  moved.set(bytes.subarray(0, first.end));
  moved.set(group, first.end + 1);
  files.writeFile(LOG_PATH, moved);
  assertEquals(replay(files).operations, first.operations);
  // The first group again, behind the last one.
  const again = new Uint8Array(bytes.length + first.end - first.start);
  again.set(bytes);
  again.set(bytes.subarray(first.start, first.end), bytes.length);
  files.writeFile(LOG_PATH, again);
  assertEquals(replay(files).operations, operationsOf(groups));
});

/** Appends a group to a log's bytes, with whatever header. */
function withGroup(
  bytes: Uint8Array,
  payload: Uint8Array,
  firstSequence: number,
  operations: number,
): Uint8Array {
  const group = new Uint8Array(GROUP_HEADER_LENGTH + payload.length);
  group.set(payload, GROUP_HEADER_LENGTH);
  const mark = LOG_HEADER_LENGTH;
  encodeGroupHeader(group, firstSequence, mark, operations, 3, bytes.length);
  const longer = new Uint8Array(bytes.length + group.length);
  longer.set(bytes);
  longer.set(group, bytes.length);
  return longer;
}

/** A put of "k" to "v". */
const PAYLOAD = Uint8Array.of(0, 1, 0x6b, 1, 0x76);

test("a group whose sequence does not go on upwards ends the log", () => {
  const { files, groups, bytes } = writeGroups(5, 2, 0);
  const last = lastSequenceOf(groups);
  for (const first of [0, 1, BEFORE, last - 1, last]) {
    files.writeFile(LOG_PATH, withGroup(bytes, PAYLOAD, first, 1));
    const { operations, lostTailBytes } = replay(files);
    assertEquals(operations, operationsOf(groups), `${first}`);
    assertGreater(lostTailBytes, 0);
  }
  files.writeFile(LOG_PATH, withGroup(bytes, PAYLOAD, last + 1, 1));
  assertEquals(
    replay(files).operations.length,
    operationsOf(groups).length + 1,
  );
});

test("operations that are none, under checksums that match, are CORRUPTION", () => {
  const { files, bytes } = writeGroups(6, 1, 0);
  const cases: [name: string, payload: number[], operations: number][] = [
    ["an unknown kind", [3, 1, 0x6b, 1, 0x76], 1],
    ["a key past the end", [1, 9, 0x6b], 1],
    ["a value past the end", [0, 1, 0x6b, 9, 0x76], 1],
    ["fewer operations than bytes", [...PAYLOAD, ...PAYLOAD], 1],
    ["more operations than bytes", [...PAYLOAD], 2],
    ["no operation, but bytes", [...PAYLOAD], 0],
  ];
  for (const [name, payload, operations] of cases) {
    const group = Uint8Array.from(payload);
    files.writeFile(LOG_PATH, withGroup(bytes, group, 1000, operations));
    const error = throwsWith("CORRUPTION", () => replay(files));
    assertStringIncludes(error.message, "checksum that matches", name);
  }
});

test(
  "a sealed log must be whole up to its seal; what lies behind is ignored",
  LONG,
  () => {
    const { files, groups, bytes } = writeGroups(7, 5, 50);
    for (let count = 0; count <= groups.length; count++) {
      const sealed = groups.slice(0, count);
      const seal = {
        length: sealed.at(-1)?.end ?? LOG_HEADER_LENGTH,
        lastSequence: lastSequenceOf(sealed),
      };
      files.writeFile(LOG_PATH, bytes);
      const whole = replay(files, seal);
      assertEquals(whole.operations, operationsOf(sealed));
      assertEquals(whole.seal, seal);
      assertEquals(whole.lostTailBytes, 0);
      // Damage behind the seal does no harm.
      if (count < groups.length) {
        const behind = bytes.slice();
        behind[seal.length + 3] ^= 1;
        files.writeFile(LOG_PATH, behind);
        assertEquals(replay(files, seal).operations, operationsOf(sealed));
      }
      for (let length = LOG_HEADER_LENGTH; length < seal.length; length += 7) {
        files.writeFile(LOG_PATH, bytes.subarray(0, length));
        throwsWith("CORRUPTION", () => replay(files, seal));
      }
      for (let at = LOG_HEADER_LENGTH; at < seal.length; at += 11) {
        const broken = bytes.slice();
        broken[at] ^= 0x20;
        files.writeFile(LOG_PATH, broken);
        throwsWith("CORRUPTION", () => replay(files, seal));
      }
    }
  },
);

test(
  "a log that is not sealed must be whole as far as the manifest knows it to be synced",
  LONG,
  () => {
    const { files, groups, bytes } = writeGroups(11, 5, 0);
    for (const [i, { start, end }] of groups.entries()) {
      const read = (changed: Uint8Array) => {
        files.writeFile(LOG_PATH, changed);
        return replay(files, undefined, LOG, end);
      };
      assertEquals(read(bytes).operations, operationsOf(groups));
      assertEquals(
        read(bytes.subarray(0, end)).operations,
        operationsOf(groups.slice(0, i + 1)),
      );
      for (let length = LOG_HEADER_LENGTH; length < end; length += 9) {
        throwsWith("CORRUPTION", () => read(bytes.subarray(0, length)));
      }
      for (let at = start; at < end; at += 5) {
        const broken = bytes.slice();
        broken[at] ^= 0x08;
        throwsWith("CORRUPTION", () => read(broken));
      }
      // Above, it is a tail that may be lost.
      if (i + 1 === groups.length) continue;
      const broken = bytes.slice();
      broken[end + 2] ^= 0x08;
      const { operations, lostTailBytes } = read(broken);
      assertEquals(operations, operationsOf(groups.slice(0, i + 1)));
      assertEquals(lostTailBytes, bytes.length - end);
    }
  },
);

test("a seal that contradicts the log is CORRUPTION", () => {
  const { files, groups } = writeGroups(8, 3, 0);
  const { end } = groups[1];
  const lastSequence = lastSequenceOf(groups.slice(0, 2));
  replay(files, { length: end, lastSequence });
  throwsWith(
    "CORRUPTION",
    () => replay(files, { length: end, lastSequence: lastSequence + 1 }),
  );
  throwsWith(
    "CORRUPTION",
    () => replay(files, { length: end, lastSequence: lastSequence - 1 }),
  );
  throwsWith(
    "CORRUPTION",
    () => replay(files, { length: end + 1, lastSequence }),
  );
  throwsWith(
    "CORRUPTION",
    () => replay(files, { length: end - 1, lastSequence }),
  );
});

test("a read error is IO, never the end of the log", () => {
  const { files } = writeGroups(9, 3, 0);
  for (const operation of ["open", "read"] as const) {
    files.onOperation = (happening) => {
      if (happening !== operation) return;
      throw Object.assign(new Error("made by the test"), { code: "EIO" });
    };
    throwsWith("IO", () => replay(files));
    files.onOperation = undefined;
  }
  assertEquals(replay(files).operations.length > 0, true);
});

test("readWhole() closes the file, whatever happens", () => {
  const { files, bytes } = writeGroups(10, 1, 0);
  let open = 0;
  const counting = Object.assign(Object.create(files), {
    open(path: string, mode: "read" | "create") {
      const file = files.open(path, mode);
      open++;
      const close = file.close.bind(file);
      file.close = () => {
        open--;
        close();
      };
      return file;
    },
  });
  assertEquals(readWhole(counting, LOG_PATH), bytes);
  assertEquals(open, 0);
  files.onOperation = (operation) => {
    if (operation !== "read") return;
    throw Object.assign(new Error("made by the test"), { code: "EIO" });
  };
  throwsWith("IO", () => readWhole(counting, LOG_PATH));
  assertEquals(open, 0);
});

test("an empty log gives nothing", () => {
  const { files } = newLog();
  const { operations, seal, lostTailBytes } = replay(files);
  assertEquals(operations, []);
  assertEquals(seal, { length: LOG_HEADER_LENGTH, lastSequence: BEFORE });
  assertEquals(lostTailBytes, 0);
});

test("recovery of a long tail is quick", LONG, () => {
  // Forty thousand groups behind a hole: each is looked at once.
  const { files, log } = newLog();
  for (let sequence = 101; sequence < 40_101; sequence++) {
    append(log, { sequence, kind: 0, key: "k", value: "v" });
    log.write();
  }
  const bytes = files.readFile(LOG_PATH);
  bytes[LOG_HEADER_LENGTH + 40] ^= 1;
  files.writeFile(LOG_PATH, bytes);
  const start = performance.now();
  const { lostTailBytes } = replay(files);
  const elapsed = performance.now() - start;
  assertGreater(lostTailBytes, 1_000_000);
  // It takes some 50 ms; checksums from every byte on would take minutes.
  assert(elapsed < 10_000, `${elapsed} ms`);
});

test("a log of another format version is refused by that, whatever it holds", () => {
  const { files, bytes } = writeGroups(1, 3, 100);
  putU32(bytes, 8, 9);
  putU32(bytes, 32, checksum(bytes.subarray(0, 32), 0));
  files.writeFile(LOG_PATH, bytes);
  const error = throwsWith("CORRUPTION", () => replay(files));
  assertStringIncludes(error.message, "format version 9");
  assertEquals(isMadeAtOpen(files, LOG_PATH), false);
});

test("a log that is shorter than it was when the manifest came to know it is damage, not a lost tail", () => {
  const { files, groups, bytes } = writeGroups(1, 3, 0);
  const [{ end }] = groups;
  files.writeFile(LOG_PATH, bytes.subarray(0, end));
  assertEquals(replay(files, undefined, LOG, end).lostTailBytes, 0);
  const error = throwsWith(
    "CORRUPTION",
    () => replay(files, undefined, LOG, end + 1),
  );
  assertStringIncludes(error.message, `one cut at ${end}`);
  const seal = { length: end + 1, lastSequence: lastSequenceOf(groups) };
  throwsWith("CORRUPTION", () => replay(files, seal));
});

test("a read that gives fewer bytes than the file has is damage, not the end of the log", () => {
  const { files, bytes } = writeGroups(1, 3, 0);
  const short: FileSystem = Object.create(files, {
    open: {
      value: (path: string, mode: "read"): File => {
        const file = files.open(path, mode);
        return Object.create(file, {
          size: { value: () => file.size() },
          readAt: {
            value: (into: Uint8Array, at: number) =>
              file.readAt(into.subarray(0, into.length - 1), at),
          },
          close: { value: () => file.close() },
        });
      },
    },
  });
  const error = throwsWith("CORRUPTION", () => readWhole(short, LOG_PATH));
  assertStringIncludes(error.message, `${bytes.length} bytes`);
  assertStringIncludes(error.message, `${bytes.length - 1} bytes`);
});
