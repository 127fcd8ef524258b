/**
 * Logs: replay of whatever bytes, against a plain reader.
 *
 * @module
 */
import {
  decodeLogHeader,
  encodeLogHeader,
  LOG_HEADER_LENGTH,
} from "../../../lib/wal/format.ts";
import { type LogKnowledge, replayLog } from "../../../lib/wal/reader.ts";
import type { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import { assertEquals } from "../../assert.ts";
import type { Random } from "../../engine/support/random.ts";
import { filled } from "../../engine/support/bytes.ts";
import { fromBytes } from "../../unit/support/entries.ts";
import {
  append,
  BEFORE,
  LOG,
  LOG_PATH,
  newLog,
  RecordingSink,
} from "../../unit/support/logs.ts";
import { mutated, randomBytes } from "../support/mutate.ts";
import { readPlainly } from "../support/plain_log.ts";
import { sealLog } from "../support/seals.ts";
import { decode, type Target } from "../support/target.ts";

function someKey(random: Random): string {
  if (random.chance(1)) {
    return "x".repeat(random.pick([65_536, 65_537, 65_538]));
  }
  return fromBytes(filled(random.below(6), random.below(20)));
}

/** A log of some groups; where each began, and the last sequence. */
function makeLog(
  random: Random,
): { files: MemoryFileSystem; starts: number[]; last: number } {
  const { files, log } = newLog();
  const starts: number[] = [];
  let sequence = BEFORE;
  for (let group = random.below(6); group > 0; group--) {
    starts.push(log.writtenBytes);
    sequence += random.below(3);
    for (let i = random.below(5); i >= 0; i--) {
      const [key, other] = [someKey(random), someKey(random)].sort();
      const kind = key === other ? 0 : random.pick([0, 0, 1, 2]);
      const value = kind === 1 ? "" : random.chance(10) ? "" : other;
      append(log, { sequence: ++sequence, kind, key, value });
    }
    log.write();
    if (random.chance(40)) log.syncNow();
  }
  log.close();
  return { files, starts, last: sequence };
}

/** What the manifest knows: mostly what is so. */
function knowledge(
  random: Random,
  length: number,
  starts: readonly number[],
  last: number,
): LogKnowledge {
  const syncedLength = random.chance(80)
    ? LOG_HEADER_LENGTH
    : random.pick([...starts, LOG_HEADER_LENGTH, length]);
  if (random.chance(50)) return { syncedLength, seal: undefined };
  const off = random.chance(80) ? 0 : random.pick([1, -1]);
  return {
    syncedLength,
    seal: { length: length + off, lastSequence: last },
  };
}

function replay(random: Random): void {
  const { files, starts, last } = makeLog(random);
  const valid = files.readFile(LOG_PATH);
  const donor = makeLog(random).files.readFile(LOG_PATH);
  let bytes = valid;
  if (random.chance(95)) bytes = mutated(random, valid, donor);
  if (random.chance(5)) bytes = randomBytes(random, random.below(200));
  if (random.chance(75)) bytes = sealLog(bytes, LOG);
  files.writeFile(LOG_PATH, bytes);
  const known = knowledge(random, valid.length, starts, last);
  const sink = new RecordingSink();
  const outcome = decode(
    bytes.length,
    () => replayLog(files, LOG_PATH, LOG, known, sink),
  );
  const expected = readPlainly(bytes, LOG, known);
  if ("refused" in outcome) {
    assertEquals(expected, undefined, outcome.refused);
    return;
  }
  const { length: end, lastSequence } = outcome.value.seal;
  assertEquals(
    { operations: sink.operations, end, lastSequence },
    expected,
  );
}

function header(random: Random): void {
  const valid = encodeLogHeader({
    number: random.below(2 ** 31),
    previous: random.below(2 ** 31),
    lastSequenceBefore: random.below(2 ** 31) * 2 ** 15,
    isMadeAtOpen: random.chance(50),
  });
  const bytes = sealLog(mutated(random, valid), LOG);
  const decoded = decodeLogHeader(bytes);
  if (typeof decoded === "string") return;
  assertEquals(encodeLogHeader(decoded), bytes.slice(0, LOG_HEADER_LENGTH));
}

/** Logs. */
export const log: Target = {
  name: "log",
  run(random) {
    header(random);
    replay(random);
  },
};
