/**
 * Blocks: searches and walks in whatever bytes.
 *
 * Around an input lie other bytes; what comes of it must not depend on them.
 *
 * @module
 */
import { fingerprintOf, hashKey, keyHash } from "../../../lib/encoding/hash.ts";
import { Block, BlockEntry } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import { TableIndex } from "../../../lib/sstable/table_index.ts";
import { assert, assertEquals } from "../../assert.ts";
import type { Random } from "../../engine/support/random.ts";
import { fromBytes, toBytes } from "../../unit/support/entries.ts";
import { filled } from "../../engine/support/bytes.ts";
import { mutated, randomBytes } from "../support/mutate.ts";
import { FILLS, surrounded, type Target } from "../support/target.ts";
import { wordsOf } from "../../unit/support/words.ts";

/** An entry of a block. */
interface Entry {
  readonly key: string;
  readonly tag: number;
  readonly sequence: number;
  readonly value: string;
}

function someKey(random: Random, prefix: string): string {
  const length = random.chance(3) ? 130 + random.below(300) : random.below(5);
  let key = prefix;
  for (let i = 0; i < length; i++) {
    key += random.pick(["\0", "a", "b", "\xff"]);
  }
  return key;
}

function someEntries(random: Random): Entry[] {
  const prefix = random.pick(["", "", "p", "prefix", "q".repeat(200)]);
  const keys = Array.from(
    { length: 1 + random.below(12) },
    () => someKey(random, prefix),
  ).sort();
  const isWide = random.chance(1);
  return keys.map((key, i) => {
    const length = isWide && i === 0 ? 70_000 : random.below(20);
    const kind = random.chance(20) ? 1 : 0;
    const value = kind === 1 ? "" : fromBytes(filled(length, i));
    const sequence = random.pick([0, 1, 200, 2 ** 31, 2 ** 47]) + 50 - i;
    return { key, tag: value.length * 2 + kind, sequence, value };
  });
}

function fingerprint(key: Uint8Array): number {
  hashKey(key, 0, key.length);
  return fingerprintOf(keyHash.bits);
}

function encode(
  entries: readonly Entry[],
  hasFingerprints = true,
): Uint8Array {
  const builder = new BlockBuilder(hasFingerprints);
  for (const { key, tag, sequence, value } of entries) {
    builder.add(
      toBytes(key),
      0,
      key.length,
      tag,
      sequence,
      toBytes(value),
      0,
      value.length,
      fingerprint(toBytes(key)),
    );
  }
  const bytes = new Uint8Array(builder.size + 16);
  return bytes.slice(0, builder.finish(bytes, 0));
}

/** Everything that can be asked of a block, as text; places are from its start. */
function askAll(
  bytes: Uint8Array,
  start: number,
  length: number,
  probes: readonly Uint8Array[],
): string[] {
  const block = new Block();
  if (!block.reset(bytes, start, length)) return ["no block"];
  const answers = [`${block.count} entries, ${block.shared} shared`];
  const end = start + length;
  assert(block.shared <= length && block.entriesEnd <= end);
  const entry = new BlockEntry();
  const step = Math.max(1, Math.floor(block.count / 50));
  for (let i = 0; i < block.count; i += step) {
    if (!entry.read(block, i)) {
      answers.push(`${i} leaves the block`);
      continue;
    }
    const { restStart, restLength, valueStart, valueEnd } = entry;
    const isInside = restStart > start && restStart + restLength < valueStart &&
      valueStart <= valueEnd && valueEnd <= end;
    assert(isInside, `entry ${i} from ${restStart} to ${valueEnd} of ${end}`);
    const key = fromBytes(bytes.subarray(restStart, restStart + restLength));
    const value = fromBytes(bytes.subarray(valueStart, valueEnd));
    answers.push(`${i} ${key} ${entry.tag} ${entry.sequence} ${value}`);
  }
  const words = wordsOf(block.bytes);
  for (const probe of probes) {
    const at = block.find(probe, probe.length);
    const index = at < 0 ? -1 - at : at;
    assert(Number.isInteger(at) && index <= block.count, `find gave ${at}`);
    answers.push(`find ${at}`);
    const mark = fingerprint(probe);
    const found = block.lookUp(probe, probe.length, mark, entry, words);
    assert(Number.isInteger(found) && found < block.count, `${found}`);
    answers.push(`lookUp ${Math.max(-1, found)}`);
  }
  return answers;
}

function checkValid(entries: readonly Entry[], probes: readonly string[]) {
  checkAnswers(encode(entries), entries, probes);
  checkAnswers(encode(entries, false), entries, probes);
}

function checkAnswers(
  bytes: Uint8Array,
  entries: readonly Entry[],
  probes: readonly string[],
) {
  const block = new Block();
  assert(block.reset(bytes, 0, bytes.length));
  assertEquals(block.count, entries.length);
  const index = new TableIndex(block);
  const entry = new BlockEntry();
  const words = wordsOf(bytes);
  for (const probe of probes) {
    const key = toBytes(probe);
    const first = entries.findIndex((entry) => entry.key >= probe);
    const place = first < 0 ? entries.length : first;
    const isThere = entries[place]?.key === probe;
    assertEquals(block.find(key, key.length), isThere ? place : -1 - place);
    const mark = fingerprint(key);
    const found = block.lookUp(key, key.length, mark, entry, words);
    assertEquals(Math.max(-1, found), isThere ? place : -1);
    for (let i = 0; i < 3; i++) {
      assertEquals(index.find(key, key.length), place);
    }
  }
}

/** Blocks. */
export const block: Target = {
  name: "block",
  run(random) {
    const entries = someEntries(random);
    const probes = [
      ...entries.slice(0, 5).map(({ key }) => key),
      ...Array.from({ length: 4 }, () => someKey(random, "")),
    ];
    checkValid(entries, probes);
    const bytes = random.chance(10)
      ? randomBytes(random, random.below(120))
      : mutated(random, encode(entries), encode(someEntries(random)));
    const keys = probes.map(toBytes);
    const outcomes = FILLS.map((fill) => {
      const { bytes: whole, start } = surrounded(bytes, fill);
      return askAll(whole, start, bytes.length, keys);
    });
    for (const other of outcomes) assertEquals(other, outcomes[0]);
  },
};
