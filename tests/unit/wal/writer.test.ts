/** The writer of logs: what reaches the file when, and what counts as synced. */
import { test } from "node:test";
import {
  decodeGroupHeader,
  FILLER,
  GROUP_HEADER_LENGTH,
  LOG_HEADER_LENGTH,
} from "../../../lib/wal/format.ts";
import { LogWriter } from "../../../lib/wal/writer.ts";
import {
  assert,
  assertEquals,
  assertExists,
  assertGreater,
  assertRejects,
} from "../../assert.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import {
  append,
  BEFORE,
  LOG,
  LOG_PATH,
  type LogOperation,
  newLog,
  replay,
} from "../support/logs.ts";
import { newFiles } from "../support/tables.ts";

function put(sequence: number, value = "value"): LogOperation {
  return { sequence, kind: 0, key: `k${sequence}`, value };
}

function markAt(bytes: Uint8Array, offset: number): number | undefined {
  return decodeGroupHeader(bytes, offset, LOG)?.mark;
}

test("create() makes a durable header; the directory is the caller's to sync", () => {
  const { files } = newLog();
  assertEquals(files.afterPowerLoss().list("/db"), []);
  files.syncDirectory("/db");
  const survived = files.afterPowerLoss();
  assertEquals(survived.readFile(LOG_PATH).length, LOG_HEADER_LENGTH);
  assertEquals(replay(survived).header, {
    number: LOG,
    previous: 2,
    lastSequenceBefore: BEFORE,
    isMadeAtOpen: false,
  });
});

test("create() never takes the place of a file that is there", () => {
  const { files } = newLog();
  throwsWith("IO", () => newLog(files));
});

test("create() that fails throws, at the write and at the sync", () => {
  for (const operation of ["write", "sync"] as const) {
    const files = newFiles();
    files.onOperation = (happening) => {
      if (happening !== operation) return;
      throw Object.assign(new Error("made by the test"), { code: "EIO" });
    };
    throwsWith("IO", () => newLog(files));
  }
});

test("operations gather in memory until write(), and are one write then", () => {
  const { files, log } = newLog();
  files.resetCounts();
  append(log, put(101));
  append(log, { sequence: 102, kind: 2, key: "a", value: "b" });
  assertEquals(files.counts.write, 0);
  assertEquals(log.writtenBytes, LOG_HEADER_LENGTH);
  assertGreater(log.pendingBytes, GROUP_HEADER_LENGTH);
  assertEquals(log.bytes, log.writtenBytes + log.pendingBytes);
  const { bytes } = log;
  log.write();
  assertEquals(files.counts.write, 1);
  assertEquals([log.writtenBytes, log.bytes, log.pendingBytes], [
    bytes,
    bytes,
    0,
  ]);
  assertEquals(files.readFile(LOG_PATH).length, bytes);
  log.write();
  assertEquals(files.counts.write, 1, "nothing to write, and yet a write");
  assertEquals(log.lastSequence, 102);
});

test("the last sequence is known before anything is written", () => {
  const { log } = newLog();
  assertEquals(log.lastSequence, BEFORE);
  append(log, put(101));
  assertEquals(log.lastSequence, 101);
});

test("each group says how far the log was synced", () => {
  const { files, log } = newLog();
  const starts: number[] = [];
  const write = (sequence: number) => {
    append(log, put(sequence));
    starts.push(log.writtenBytes);
    log.write();
  };
  write(101);
  write(102);
  log.syncNow();
  const synced = log.writtenBytes;
  write(103);
  write(104);
  const bytes = files.readFile(LOG_PATH);
  assertEquals(starts.map((start) => markAt(bytes, start)), [
    LOG_HEADER_LENGTH,
    LOG_HEADER_LENGTH,
    synced,
    synced,
  ]);
  assertEquals(log.unsyncedBytes, log.writtenBytes - synced);
});

test("a sync counts what was written before its call, once it is done", async () => {
  const { files, log } = newLog();
  let finish = () => {};
  files.syncDelay = () =>
    new Promise((resolve) => {
      finish = resolve;
    });
  append(log, put(101));
  log.write();
  const before = log.writtenBytes;
  const syncing = log.sync();
  const second = log.writtenBytes;
  append(log, put(102));
  log.write();
  assertEquals(markAt(files.readFile(LOG_PATH), second), LOG_HEADER_LENGTH);
  assertEquals(log.unsyncedBytes, log.writtenBytes - LOG_HEADER_LENGTH);
  finish();
  await syncing;
  assertEquals(log.unsyncedBytes, log.writtenBytes - before);
  const third = log.writtenBytes;
  append(log, put(103));
  log.write();
  assertEquals(markAt(files.readFile(LOG_PATH), third), before);
  files.syncDirectory("/db");
  assertEquals(replay(files.afterPowerLoss()).operations, [put(101)]);
});

test("syncNow() syncs nothing twice", () => {
  const { files, log } = newLog();
  files.resetCounts();
  log.syncNow();
  assertEquals(files.counts.sync, 0);
  append(log, put(101));
  log.syncNow();
  assertEquals(files.counts.sync, 0, "nothing was written yet");
  log.write();
  log.syncNow();
  log.syncNow();
  assertEquals(files.counts.sync, 1);
  files.syncDirectory("/db");
  assertEquals(replay(files.afterPowerLoss()).operations, [put(101)]);
});

test("a sync that fails counts nothing as synced", async () => {
  const { files, log } = newLog();
  append(log, put(101));
  log.write();
  files.onOperation = (operation) => {
    if (operation !== "sync") return;
    throw Object.assign(new Error("made by the test"), { code: "EIO" });
  };
  await assertRejects(() => log.sync());
  throwsWith("IO", () => log.syncNow());
  assertEquals(log.unsyncedBytes, log.writtenBytes - LOG_HEADER_LENGTH);
});

test("close() waits for the sync under way, and closes behind it", async () => {
  const files = newFiles();
  const events: string[] = [];
  const watched = Object.assign(Object.create(files), {
    open(path: string, mode: "read" | "create") {
      const file = files.open(path, mode);
      const close = file.close.bind(file);
      file.close = () => {
        events.push("closed");
        close();
      };
      return file;
    },
  });
  const { log } = newLog(watched);
  let finish = () => {};
  files.syncDelay = () =>
    new Promise((resolve) => {
      finish = resolve;
    });
  append(log, put(101));
  log.write();
  const syncing = log.sync().then(() => events.push("synced"));
  log.close();
  assertEquals(events, []);
  finish();
  await syncing;
  assertEquals(events, ["closed", "synced"]);
  append(log, put(102));
  throwsWith("IO", () => log.write());
  files.syncDirectory("/db");
  assertEquals(replay(files.afterPowerLoss()).operations, [put(101)]);
});

test("a large group goes out in one write, and the writer goes on", () => {
  const { files, log } = newLog();
  const operations = [
    put(101, "x".repeat(3 * 2 ** 20)),
    ...Array.from(
      { length: 5000 },
      (_, i) => put(102 + i, "y".repeat(i % 300)),
    ),
  ];
  files.resetCounts();
  for (const operation of operations) append(log, operation);
  log.write();
  assertEquals(files.counts.write, 1);
  const after = put(9000);
  append(log, after);
  log.write();
  assertEquals(replay(files).operations, [...operations, after]);
});

test("the writer's buffer holds nothing of the caller's", () => {
  const { files, log } = newLog();
  const [key, value] = [new Uint8Array(40).fill(1), new Uint8Array(40).fill(2)];
  log.append(101, 0, key, 40, value, 40);
  key.fill(9);
  value.fill(9);
  log.write();
  assertEquals(replay(files).operations, [{
    sequence: 101,
    kind: 0,
    key: "\x01".repeat(40),
    value: "\x02".repeat(40),
  }]);
});

test("appendEncoded() makes the file that its operations make one by one", () => {
  const before = put(101);
  const operations: LogOperation[] = [
    put(102, "y".repeat(300)),
    { sequence: 103, kind: 1, key: "gone", value: "" },
    { sequence: 104, kind: 2, key: "a", value: "" },
    { sequence: 105, kind: 2, key: "a", value: "z" },
  ];
  const after = put(106);
  const singly = newLog();
  for (const operation of [before, ...operations, after]) {
    append(singly.log, operation);
  }
  singly.log.write();
  const written = singly.files.readFile(LOG_PATH);
  const isOneGroup = [before, ...operations, after];
  assertEquals(replay(singly.files).operations, isOneGroup);
  // The bytes of the four operations, as they lie in the file.
  const [start, end] = [before, after].map(({ key, value }) =>
    2 + key.length + value.length
  );
  const encoded = written.slice(
    LOG_HEADER_LENGTH + GROUP_HEADER_LENGTH + 1 + start,
    written.length - 1 - end,
  );
  const { files, log } = newLog();
  append(log, before);
  const larger = new Uint8Array([...encoded, 9, 9]);
  log.appendEncoded(102, operations.length, larger, 0, encoded.length);
  larger.fill(0);
  append(log, after);
  assertEquals(log.lastSequence, 106);
  log.write();
  assertEquals(files.readFile(LOG_PATH), written);
});

test("appendEncoded() behind burned sequences begins a group of its own", () => {
  const { files, log } = newLog();
  append(log, put(101));
  log.appendEncoded(110, 2, new Uint8Array([1, 1, 65, 1, 1, 66]), 0, 6);
  append(log, put(112));
  log.write();
  assertEquals(files.counts.write, 3); // The header, and two groups.
  assertEquals(replay(files).operations, [
    put(101),
    { sequence: 110, kind: 1, key: "A", value: "" },
    { sequence: 111, kind: 1, key: "B", value: "" },
    put(112),
  ]);
});

test("a log made at an opening says so", () => {
  const files = newFiles();
  LogWriter.create(files, LOG_PATH, {
    number: LOG,
    previous: 0,
    lastSequenceBefore: 2 ** 47,
    isMadeAtOpen: true,
  });
  const { header } = replay(files);
  assert(header.isMadeAtOpen);
  assertEquals(header.lastSequenceBefore, 2 ** 47);
  assertExists(header);
});

/** A log with room for filler, after so many small groups, each synced. */
async function syncedOften(groups: number, files = newFiles()) {
  const made = newLog(files, 64 * 1024);
  for (let i = 1; i <= groups; i++) {
    append(made.log, put(BEFORE + i));
    made.log.write();
    await made.log.sync();
  }
  return made;
}

test("a log that is synced often, and little at a time, gets filler behind its groups, which is synced with them", async () => {
  const few = await syncedOften(3);
  assertEquals(few.files.readFile(LOG_PATH).length, few.log.writtenBytes);

  const { files, log } = await syncedOften(4);
  files.syncDirectory("/db");
  const bytes = files.afterPowerLoss().readFile(LOG_PATH);
  assertEquals(bytes.length, log.writtenBytes + 4 * 1024);
  assert(bytes.subarray(log.writtenBytes).every((byte) => byte === FILLER));
  const { operations, lostTailBytes } = replay(files);
  assertEquals([operations.length, lostTailBytes], [4, 0]);
});

test("groups are written over filler, and filler again behind them before it ends", async () => {
  const { files, log } = await syncedOften(4);
  let room = 0;
  for (let sequence = BEFORE + 5; sequence < BEFORE + 600; sequence++) {
    append(log, put(sequence, "v".repeat(50)));
    log.write();
    await log.sync();
    const behind = files.readFile(LOG_PATH).subarray(log.writtenBytes);
    assert(behind.every((byte) => byte === FILLER));
    room = Math.max(room, behind.length);
    assert(behind.length <= Math.max(8192, 2 * log.writtenBytes));
  }
  assert(room <= 10 * 1024, `${room} bytes of filler`);
  const { operations, lostTailBytes } = replay(files);
  assertEquals([operations.length, lostTailBytes], [599, 0]);
});

test("a log whose syncs are large, and one of no usual size, get no filler", async () => {
  for (const [usualSize, length] of [[64 * 1024, 40_000], [undefined, 10]]) {
    const { files, log } = newLog(newFiles(), usualSize);
    for (let i = 1; i <= 6; i++) {
      append(log, put(BEFORE + i, "v".repeat(length ?? 0)));
      log.write();
      await log.sync();
    }
    assertEquals(files.readFile(LOG_PATH).length, log.writtenBytes);
  }
});

test("filler that cannot be written is a failure of the log: it is not synced then", async () => {
  const { files, log } = await syncedOften(3);
  append(log, put(BEFORE + 4));
  log.write();
  files.onOperation = (happening) => {
    if (happening !== "write") return;
    throw Object.assign(new Error("made by the test"), { code: "ENOSPC" });
  };
  const { sync } = files.counts;
  await assertRejects(() => log.sync(), Error, "ENOSPC");
  assertEquals(files.counts.sync, sync);
  assertEquals(replay(files).operations.length, 4);
});
