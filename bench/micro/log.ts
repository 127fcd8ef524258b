/**
 * Appending to the log: records into the group, and the group with its checksum.
 * Where the file would be written nothing is done, so that the engine's part is
 * measured and not the disk.
 *
 * @module
 */
import { PUT } from "../../lib/cursor.ts";
import type { File, FileSystem } from "../../lib/runtime/runtime.ts";
import { LogWriter } from "../../lib/wal/writer.ts";
import { bench, expect, group, keys, THOUSAND, value } from "./suite.ts";

/** A file that takes everything and keeps nothing. */
const nowhere: File = {
  path: "nowhere",
  readAt: () => 0,
  writeAt: () => {},
  size: () => 0,
  sync: () => Promise.resolve(),
  syncNow: () => {},
  close: () => {},
};

/** Defines the benchmarks. */
export function defineLog(): void {
  // Creating a log opens its file and needs no more of a file system.
  const files = { open: () => nowhere } as unknown as FileSystem;
  const log = LogWriter.create(files, "nowhere", {
    number: 2,
    previous: 1,
    lastSequenceBefore: 0,
    isMadeAtOpen: false,
  });
  const append = (count: number) => {
    for (let i = 0; i < count; i++) {
      const key = keys[i] ?? value;
      const sequence = log.lastSequence + 1;
      log.append(sequence, PUT, key, key.length, value, value.length);
    }
    log.write();
    return log.writtenBytes;
  };
  const before = log.writtenBytes;
  expect(append(1) > before + value.length, "bytes of a log");
  group("log", () => {
    bench("a group of one put", () => append(1));
    bench("a group of puts x1000", () => append(THOUSAND));
  });
}
