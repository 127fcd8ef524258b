/**
 * Edits and manifests.
 *
 * @module
 */
import { compareBytes } from "../../../lib/encoding/bytes.ts";
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { TableMeta } from "../../../lib/sstable/meta.ts";
import { firstOverlap } from "../../../lib/sstable/sorted_run.ts";
import {
  decodeEdit,
  type Edit,
  encodeEdit,
} from "../../../lib/version/edit.ts";
import {
  ManifestFollower,
  ManifestWriter,
  readManifest,
} from "../../../lib/version/manifest.ts";
import { TreeState } from "../../../lib/version/state.ts";
import { assert, assertEquals } from "../../assert.ts";
import { filled } from "../../engine/support/bytes.ts";
import type { Random } from "../../engine/support/random.ts";
import { mutated, randomBytes } from "../support/mutate.ts";
import { sealManifest } from "../support/seals.ts";
import { decode, type Target } from "../support/target.ts";

const NUMBER = 2;
const PATH = "/db/MANIFEST-000002";
const WIDE_MAX = 2 ** 48 - 1;

function someMeta(random: Random, number: number, key: number): TableMeta {
  const entries = 1 + random.below(1000);
  const rangeTombstones = random.chance(30) ? 1 + random.below(5) : 0;
  const unbounded = rangeTombstones > 0 && random.chance(30);
  return {
    number,
    size: 100 + random.below(100_000),
    entries,
    tombstones: random.below(entries + 1),
    olderVersions: random.below(entries),
    rangeTombstones,
    oldest: 1 + random.below(100),
    newest: 100 + random.below(100),
    created: 1_700_000_000_000 + random.below(10_000),
    smallest: Uint8Array.of(key),
    largest: unbounded
      ? new Uint8Array(0)
      : Uint8Array.of(key, ...filled(random.below(4), key)),
    unbounded,
  };
}

/** An edit that fits `state`, and is applied to it. */
function someEdit(random: Random, state: TreeState): Edit {
  let number = state.nextFileNumber;
  const { addTables, removeTables, addLogs, sealLogs, removeLogs } = {
    addTables: Array.from({ length: random.below(3) }, () => {
      const meta = someMeta(random, number, number % 200);
      number++;
      return { level: random.below(7), table: meta };
    }),
    removeTables: [...state.tables.keys()].filter(() => random.chance(20)),
    addLogs: random.chance(50) ? [{ number: number++, syncedLength: 36 }] : [],
    sealLogs: [...state.logs].filter(([, { seal }]) =>
      seal === undefined && random.chance(50)
    ).map(([log]) => ({ number: log, length: 100, lastSequence: 50 })),
    removeLogs: [...state.logs].filter(([, { seal }]) =>
      seal !== undefined && random.chance(50)
    ).map(([log]) => log),
  };
  const edit: Edit = {
    nextFileNumber: number,
    lastSequence: Math.max(200, state.lastSequence + random.below(10)),
    flushedSequence: random.below(200),
    addTables,
    removeTables,
    addLogs,
    sealLogs,
    removeLogs,
  };
  return edit;
}

/** The bytes of a manifest of some edits, and its length with the first. */
function makeManifest(
  random: Random,
): { files: MemoryFileSystem; bytes: Uint8Array; first: number } {
  const files = new MemoryFileSystem();
  files.makeDirectory("/db");
  const writer = new ManifestWriter(files, PATH, NUMBER);
  const state = new TreeState();
  let first = 0;
  for (let i = 1 + random.below(5); i > 0; i--) {
    const edit = someEdit(random, state);
    if (state.misfit(edit) !== undefined) continue;
    state.apply(edit);
    writer.append(edit);
    first ||= writer.bytes;
  }
  writer.close();
  return { files, bytes: files.readFile(PATH), first };
}

/** What every state that is accepted must be. */
function checkState(state: TreeState): void {
  const { nextFileNumber, lastSequence, flushedSequence } = state;
  for (const value of [nextFileNumber, lastSequence, flushedSequence]) {
    assert(
      Number.isInteger(value) && value >= 0 && value <= WIDE_MAX,
      `${value}`,
    );
  }
  const levels = new Map<number, TableMeta[]>();
  for (const { level, table } of state.tables.values()) {
    assert(level < 256, `level ${level}`);
    assert(table.oldest <= table.newest, "sequences out of order");
    assert(table.number <= WIDE_MAX && table.size <= WIDE_MAX, "too wide");
    assert(table.tombstones <= table.entries, "more tombstones than entries");
    levels.set(level, [...levels.get(level) ?? [], table]);
  }
  for (const [level, tables] of levels) {
    if (level === 0) continue;
    tables.sort((a, b) => compareBytes(a.smallest, b.smallest));
    assertEquals(firstOverlap(tables), undefined, `level ${level}`);
  }
  const again = new TreeState();
  const edit = decodeEdit(encodeEdit(state.snapshot()));
  assert(edit !== undefined, "the snapshot is no edit");
  assertEquals(again.apply(edit), undefined);
  assertEquals(again, state);
}

function edits(random: Random): void {
  const donor = encodeEdit(someEdit(random, new TreeState()));
  const valid = encodeEdit(someEdit(random, new TreeState()));
  const bytes = random.chance(15)
    ? randomBytes(random, random.below(80))
    : mutated(random, valid, donor);
  const outcome = decode(bytes.length, () => decodeEdit(bytes));
  const edit = "value" in outcome ? outcome.value : undefined;
  if (edit === undefined) return;
  assertEquals(decodeEdit(encodeEdit(edit)), edit);
}

function manifests(random: Random): void {
  const { files, bytes: valid, first } = makeManifest(random);
  const donor = makeManifest(random).bytes;
  let bytes = mutated(random, valid, donor);
  const isSealed = random.chance(80);
  if (isSealed) bytes = sealManifest(bytes, NUMBER);
  files.writeFile(PATH, bytes);
  const outcome = decode(
    bytes.length,
    () => readManifest(files, PATH, NUMBER, random.chance(50) ? first : 0),
  );
  if ("refused" in outcome) return;
  const { state, end, tornBytes } = outcome.value;
  assertEquals(end + tornBytes, bytes.length);
  checkState(state);
  follow(files, end, state);
}

/** Who follows a manifest comes to the same state. */
function follow(files: MemoryFileSystem, end: number, state: TreeState): void {
  const follower = new ManifestFollower(files, PATH, NUMBER);
  try {
    follower.follow(end);
    assertEquals(follower.state, state);
  } finally {
    follower.close();
  }
}

/** Manifests. */
export const manifest: Target = {
  name: "manifest",
  run(random) {
    edits(random);
    manifests(random);
  },
};
