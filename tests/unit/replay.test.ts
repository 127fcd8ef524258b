/** Replaying logs: their order and chain, what is written again, and what is damage. */
import { test } from "node:test";
import { EMPTY } from "../../lib/encoding/bytes.ts";
import { resolveOptions } from "../../lib/options.ts";
import { type Replayed, replayLogs } from "../../lib/replay.ts";
import type { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { TreeState } from "../../lib/version/state.ts";
import { VersionSet } from "../../lib/version/version_set.ts";
import { type LogSeal, replayLog } from "../../lib/wal/reader.ts";
import { LogWriter } from "../../lib/wal/writer.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertStringIncludes,
  assertThrows,
} from "../assert.ts";
import { throwsWith } from "../engine/support/errors.ts";
import { toBytes } from "./support/entries.ts";
import { RecordingSink } from "./support/logs.ts";
import { countHandles } from "./support/open_handles.ts";
import { newContext, newFiles } from "./support/tables.ts";

/** Logs, and what a manifest says of them. */
class Logs {
  readonly files: MemoryFileSystem = newFiles();
  readonly state = new TreeState();
  readonly versions: VersionSet;
  #previous = 0;
  #sequence = 0;

  constructor() {
    this.versions = new VersionSet("/db", this.state, newContext(this.files));
  }

  /** A log with one put of each key, sealed unless it is the newest. */
  add(
    keys: readonly string[],
    { isSealed = true, previous = this.#previous, valueLength = 3 } = {},
  ): LogSeal {
    const number = this.versions.newFileNumber();
    const path = this.versions.path("log", number);
    const log = LogWriter.create(this.files, path, {
      number,
      previous,
      lastSequenceBefore: this.#sequence,
      isMadeAtOpen: false,
    });
    const value = new Uint8Array(valueLength);
    for (const key of keys) {
      const bytes = toBytes(key);
      const { length } = bytes;
      log.append(++this.#sequence, 0, bytes, length, value, value.length);
      log.write();
    }
    const { writtenBytes: length, lastSequence } = log;
    log.close();
    const seal = { length, lastSequence };
    this.state.logs.set(number, {
      syncedLength: 36,
      seal: isSealed ? seal : undefined,
    });
    this.#previous = number;
    return seal;
  }

  replay(): Replayed {
    const { options } = resolveOptions({ writeBufferSize: 1 << 16 });
    return replayLogs(this.files, this.versions, this.state, options);
  }

  /** The keys of all memtables, the oldest first. */
  keys({ memtables }: Replayed): string[] {
    return memtables.flatMap((memtable) => {
      const keys: string[] = [];
      const cursor = memtable.cursor();
      for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
        const { key, keyStart, keyEnd } = cursor;
        keys.push(String.fromCharCode(...key.subarray(keyStart, keyEnd)));
      }
      return keys;
    });
  }
}

test("logs are replayed by number, whatever order the manifest has them in", () => {
  const logs = new Logs();
  logs.add(["a"]);
  logs.add(["b"]);
  logs.add(["c"], { isSealed: false });
  const known = [...logs.state.logs].reverse();
  logs.state.logs.clear();
  for (const [number, log] of known) logs.state.logs.set(number, log);
  const replayed = logs.replay();
  assertEquals(logs.keys(replayed), ["a", "b", "c"]);
  assertEquals([replayed.lastSequence, replayed.superfluous], [3, [3]]);
});

test("logs of which nothing is left to replay are superfluous, all of them", () => {
  const logs = new Logs();
  logs.add(["a"]);
  logs.add(["b"]);
  logs.state.flushedSequence = 2;
  const replayed = logs.replay();
  assertEquals([logs.keys(replayed), replayed.superfluous], [[], [1, 2]]);
  assertEquals(replayed.lastSequence, 2);
});

test("a log that is not sealed though a newer one is there is damage, and no log is made", () => {
  for (const [first, second] of [[false, true], [false, false]]) {
    const logs = new Logs();
    logs.add(["a"], { isSealed: first });
    logs.add(["b"], { isSealed: second });
    const before = logs.files.list("/db");
    const error = throwsWith("CORRUPTION", () => logs.replay());
    assertStringIncludes(error.message, "000001.vlog");
    assertEquals(logs.files.list("/db"), before);
  }
});

test("a log that is not there, or not the one after its predecessor, is damage", () => {
  const lost = new Logs();
  lost.add(["a"]);
  lost.files.remove(lost.versions.path("log", 1));
  const error = throwsWith("CORRUPTION", () => lost.replay());
  assertStringIncludes(error.message, "no file");

  const stranger = new Logs();
  stranger.add(["a"]);
  stranger.add(["b"], { previous: 7 });
  const other = throwsWith("CORRUPTION", () => stranger.replay());
  assertStringIncludes(other.message, "the one after log 7 and sequence 1");
  assertEquals(stranger.files.list("/db").length, 2);
});

test("a predecessor that is replayed further than its successor knows is damage", () => {
  const logs = new Logs();
  logs.add(["a", "b"]);
  const path = logs.versions.path("log", 2);
  logs.versions.newFileNumber();
  const log = LogWriter.create(logs.files, path, {
    number: 2,
    previous: 1,
    lastSequenceBefore: 1,
    isMadeAtOpen: false,
  });
  log.close();
  logs.state.logs.set(2, { syncedLength: 36, seal: undefined });
  const error = throwsWith("CORRUPTION", () => logs.replay());
  assertStringIncludes(error.message, "after log 1 and sequence 2");
});

test("a long log is written again in pieces, none of them above a few megabytes", () => {
  const logs = new Logs();
  const keys = Array.from({ length: 40 }, (_, i) => `k${i + 10}`);
  logs.add(keys, { isSealed: false, valueLength: 100_000 });
  const { counts } = logs.files;
  logs.files.resetCounts();
  const { log } = logs.replay();
  assertGreater(counts.write, 3);
  assertEquals(log.pendingBytes, 0);
  assertEquals(log.unsyncedBytes, 0);
  const sink = new RecordingSink();
  const known = { syncedLength: log.writtenBytes, seal: undefined };
  const { number } = log;
  const path = logs.versions.path("log", number);
  replayLog(logs.files, path, number, known, sink);
  assertEquals(sink.operations.map(({ key }) => key), keys);
});

test("range deletes are replayed and written again, but for those that are in tables", () => {
  const logs = new Logs();
  const path = logs.versions.path("log", logs.versions.newFileNumber());
  const log = LogWriter.create(logs.files, path, {
    number: 1,
    previous: 0,
    lastSequenceBefore: 0,
    isMadeAtOpen: false,
  });
  log.appendRange(1, toBytes("a"), toBytes("b"));
  log.appendRange(2, toBytes("c"), EMPTY);
  log.write();
  log.close();
  logs.state.logs.set(1, { syncedLength: 36, seal: undefined });
  logs.state.flushedSequence = 1;
  const replayed = logs.replay();
  const [memtable] = replayed.memtables;
  assertEquals([memtable.oldest, memtable.newest], [2, 2]);
  const sink = new RecordingSink();
  const { number } = replayed.log;
  const known = { syncedLength: 36, seal: undefined };
  const written = logs.versions.path("log", number);
  replayLog(logs.files, written, number, known, sink);
  assertEquals(sink.operations, [
    { sequence: 2, kind: 2, key: "c", value: "" },
  ]);
});

test("a new log that cannot be written or synced is closed, and what failed is told", () => {
  for (const operation of ["write", "sync"]) {
    const logs = new Logs();
    logs.add(["a"], { isSealed: false });
    let calls = 0;
    const { files } = logs;
    const open = countHandles(files);
    files.onOperation = (happening, path) => {
      // The first write and sync are those of the header.
      if (happening !== operation || !path.endsWith(".vlog")) return;
      if (++calls === 2) throw new Error("made by the test");
    };
    const error = assertThrows(() => logs.replay(), Error);
    assert(error.message.includes("made by the test"), error.message);
    assertEquals(open.count, 0, operation);
  }
});
