/**
 * Damage: every byte of every file of small databases is changed, every file
 * is cut at every length, made longer, and removed. Each time the answer must
 * be right, or `CORRUPTION` that says where, and nothing may be lost by the
 * looking. Only the newest log may end early, and never before what it says
 * was synced.
 *
 * @module
 */
import { test } from "node:test";
import type { MemoryFileSystem } from "../../lib/runtime/memory.ts";
import { parseFileName } from "../../lib/version/files.ts";
import { readManifest } from "../../lib/version/manifest.ts";
import { LOG_HEADER_LENGTH } from "../../lib/wal/format.ts";
import { type Db, type Options, VarveError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertStringIncludes,
} from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { rejectsWith } from "../engine/support/errors.ts";
import { type FileKind, kindOf } from "../engine/support/files.ts";
import {
  damage as change,
  lengthOfGroups,
  lose,
  namesIn,
  openIn,
  PATH,
} from "../engine/support/memory.ts";
import { Random } from "../engine/support/random.ts";
import { type State, stateOf } from "./support/ledger.ts";
import { FOREIGN, makeSpecimens, type Specimen } from "./support/specimens.ts";

const OPTIONS: Options = {
  writeBufferSize: 16 * 1024,
  blockCacheSize: 4096,
  compaction: { background: "off" },
};

/** Files up to this size have every bit changed, larger ones a bit of each byte. */
const SMALL = 128;
/** No case takes longer, unless something hangs. */
const PATIENCE_MS = 5000;

/** One way to damage one file. */
interface Damage {
  readonly file: string;
  /** For the messages of assertions. */
  readonly about: string;
  readonly change: "bit" | "cut" | "longer" | "removed";
  /** The byte, or the length. */
  readonly at: number;
  readonly apply: (files: MemoryFileSystem) => void;
}

/** What became of a damaged database. */
interface Outcome {
  readonly kind: "refused" | "found" | "read";
  /** `CORRUPTION`, of `refused` and `found`. */
  readonly error?: VarveError;
  /** What was read. */
  readonly state?: State;
  readonly lostTailBytes?: number;
}

// --- Ways to damage ---

function* damagesOf(specimen: Specimen, file: string): Generator<Damage> {
  const size = sizeOf(specimen, file);
  const make = (
    how: Damage["change"],
    at: number,
    about: string,
    edit: (bytes: Uint8Array) => Uint8Array | void,
  ): Damage => ({
    file,
    about: `${specimen.name}, ${file} ${about}`,
    change: how,
    at,
    apply: (files) => change(files, file, edit),
  });
  for (let at = 0; at < size; at++) {
    for (let bit = 0; bit < 8; bit++) {
      if (size > SMALL && bit !== at % 8) continue;
      yield make("bit", at, `byte ${at}, bit ${bit}`, (bytes) => {
        bytes[at] ^= 1 << bit;
      });
    }
    yield make("cut", at, `cut at ${at}`, (bytes) => bytes.slice(0, at));
  }
  const random = new Random(size);
  for (const more of [1, 7, 40, 500]) {
    const garbage = new Uint8Array(more).map(() => random.below(256));
    yield make("longer", more, `and ${more} bytes of garbage`, (bytes) => {
      return Uint8Array.of(...bytes, ...garbage);
    });
    yield make("longer", more, `and ${more} zeros`, (bytes) => {
      return Uint8Array.of(...bytes, ...new Uint8Array(more));
    });
  }
  yield {
    file,
    about: `${specimen.name}, ${file} removed`,
    change: "removed",
    at: 0,
    apply: (files) => lose(files, file),
  };
}

function sizeOf(specimen: Specimen, file: string): number {
  return specimen.files.readFile(`${PATH}/${file}`).length;
}

// --- What comes of it ---

/** Opens and reads a damaged database; a second time, too. */
async function tryOut(specimen: Specimen, damage: Damage): Promise<Outcome> {
  const start = performance.now();
  const files = specimen.files.afterProcessDeath();
  damage.apply(files);
  const before = contentOf(files);
  const tables = specimen.needed.filter((name) => kindOf(name) === "table");
  const first = await openAndRead(
    specimen,
    damage,
    files,
    isHidden(files, damage) ? tables : specimen.needed,
  );
  if (first.kind === "refused") {
    assertEquals(contentOf(files), before, `${damage.about}: files changed`);
  }
  // Logs may have been written again by the first opening.
  const second = await openAndRead(specimen, damage, files, tables);
  expectSame(first, second, damage.about);
  for (const [name, text] of Object.entries(FOREIGN)) {
    if (name === damage.file) continue;
    const now = new TextDecoder().decode(files.readFile(`${PATH}/${name}`));
    assertEquals(now, text, `${damage.about}: ${name}`);
  }
  assertLess(performance.now() - start, PATIENCE_MS, damage.about);
  return first;
}

/** A manifest cut between two records looks as if the second was never written. */
function isHidden(files: MemoryFileSystem, { file, change }: Damage): boolean {
  if (kindOf(file) !== "manifest" || change !== "cut") return false;
  const number = parseFileName(file)?.number ?? 0;
  try {
    return readManifest(files, `${PATH}/${file}`, number, 0).tornBytes === 0;
  } catch {
    return false;
  }
}

async function openAndRead(
  specimen: Specimen,
  damage: Damage,
  files: MemoryFileSystem,
  needed: readonly string[],
): Promise<Outcome> {
  let db: Db;
  try {
    db = await openIn(files, OPTIONS);
  } catch (error) {
    return { kind: "refused", error: expectCorruption(error, damage) };
  }
  // Nothing that counts goes at an opening, be it that damage was seen or not.
  for (const name of needed) {
    assert(files.stat(`${PATH}/${name}`), `${damage.about}: ${name} is gone`);
  }
  try {
    const state = stateOf(db, specimen.keys);
    const { lostTailBytes } = db.stats().wal;
    return { kind: "read", state, lostTailBytes };
  } catch (error) {
    return { kind: "found", error: expectCorruption(error, damage) };
  } finally {
    await db.close();
  }
}

function expectCorruption(error: unknown, damage: Damage): VarveError {
  const { about } = damage;
  assert(error instanceof VarveError, `${about}: ${error}`);
  assertEquals(error.code, "CORRUPTION", `${about}: ${error}`);
  assertMatch(error.message, /^\/data\/db\/\S+ is damaged at offset \d+: /);
  return error;
}

/** Looking at it changed nothing: another look sees the same. */
function expectSame(first: Outcome, second: Outcome, about: string): void {
  assertEquals(second.kind, first.kind, `${about}, the second time`);
  assertEquals(second.state, first.state, `${about}, the second time`);
  assertEquals(
    second.error?.message,
    first.error?.message,
    `${about}, the second time`,
  );
  // A lost tail is lost once.
  if (second.kind === "read") assertEquals(second.lostTailBytes, 0, about);
}

/** All files with their bytes, but for those of the lock. */
function contentOf(files: MemoryFileSystem): [string, Uint8Array?][] {
  return namesIn(files).map((name) =>
    name === "LOCK" ? [name] : [name, files.readFile(`${PATH}/${name}`)]
  );
}

// --- What may come of it ---

function expectRefused(outcome: Outcome, { about, file }: Damage): void {
  assertEquals(outcome.kind, "refused", about);
  assertStringIncludes(outcome.error?.message ?? "", `${PATH}/${file} `, about);
}

/** Right, to the last byte. */
function expectRight(
  specimen: Specimen,
  outcome: Outcome,
  { about }: Damage,
  lostTailBytes = 0,
): void {
  assertEquals(outcome.kind, "read", about);
  assertEquals(outcome.state, specimen.state, about);
  assertEquals(outcome.lostTailBytes, lostTailBytes, about);
}

/** Every byte of a table counts; its length is looked at when the database is opened. */
function judgeTable(_: Specimen, outcome: Outcome, damage: Damage): void {
  if (damage.change !== "bit") return expectRefused(outcome, damage);
  const { about, file } = damage;
  assert(outcome.kind !== "read", `${about}: not found`);
  assertStringIncludes(outcome.error?.message ?? "", `${PATH}/${file} `, about);
}

/** A record that was torn at the end may be left out, if that does no harm. */
function judgeManifest(
  specimen: Specimen,
  outcome: Outcome,
  damage: Damage,
): void {
  if (outcome.kind === "read") {
    assert(damage.change !== "removed", damage.about);
    return expectRight(specimen, outcome, damage);
  }
  assertEquals(outcome.kind, "refused", damage.about);
  assert(damage.change !== "longer", damage.about);
}

function judgeSealedLog(
  specimen: Specimen,
  outcome: Outcome,
  damage: Damage,
): void {
  const { change, at, file } = damage;
  const isInFiller = at >= lengthOfGroups(specimen.files, file);
  if (change === "longer" || change !== "removed" && isInFiller) {
    expectRight(specimen, outcome, damage);
  } else expectRefused(outcome, damage);
}

/** The newest log ends where it stops to be whole, unless it says itself that more was synced. */
function judgeNewestLog(
  specimen: Specimen,
  outcome: Outcome,
  damage: Damage,
): void {
  const { newestLog } = specimen;
  assert(newestLog !== undefined);
  const { groups, states, syncedLength } = newestLog;
  const { about, at } = damage;
  if (damage.change === "longer") {
    return expectRight(specimen, outcome, damage, at);
  }
  if (damage.change === "removed" || at < LOG_HEADER_LENGTH) {
    return expectRefused(outcome, damage);
  }
  const whole = groups.filter(({ end }) => end <= at).length;
  const end = groups[whole - 1]?.end ?? LOG_HEADER_LENGTH;
  // Of a cut log nothing is left that would say how far it was synced; where
  // it ends between groups, it is a log to which no more was written.
  const isCut = damage.change === "cut";
  const later = isCut ? [] : groups.slice(whole + 1).map(({ mark }) => mark);
  if (Math.max(syncedLength, ...later) > end) {
    return expectRefused(outcome, damage);
  }
  const size = isCut ? at : sizeOf(specimen, damage.file);
  assertEquals(outcome.kind, "read", about);
  assertEquals(outcome.state, states[whole], about);
  assertEquals(outcome.lostTailBytes, size - end, about);
}

type Judge = (specimen: Specimen, outcome: Outcome, damage: Damage) => void;

function judgeOf(specimen: Specimen, file: string): Judge {
  const judges: Record<FileKind, Judge> = {
    lock: expectRight,
    foreign: expectRight,
    current: (_, outcome, damage) => expectRefused(outcome, damage),
    manifest: judgeManifest,
    table: judgeTable,
    log: file === specimen.newestLog?.name ? judgeNewestLog : judgeSealedLog,
    temporary: expectRight,
  };
  return judges[kindOf(file)];
}

/** What became of the damaged files of one kind, for the summary. */
class Tally {
  readonly #counts: Map<string, number> = new Map();

  add(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  toString(): string {
    return [...this.#counts].sort().map(([what, count]) => `${count} ${what}`)
      .join(", ");
  }
}

function classify(specimen: Specimen, outcome: Outcome): string {
  if (outcome.kind === "refused") return "refused at opening";
  if (outcome.kind === "found") return "found at a read";
  if (outcome.state !== specimen.state) return "right but for a lost tail";
  return outcome.lostTailBytes === 0 ? "right" : "right, tail cut off";
}

for (const specimen of await makeSpecimens()) {
  const files = namesIn(specimen.files);
  const kinds = new Set(files.map(kindOf));
  for (const kind of kinds) {
    test(
      `damage: ${specimen.name}: any to a ${kind} is found or does no harm`,
      LONG,
      async () => {
        const tally = new Tally();
        for (const file of files.filter((name) => kindOf(name) === kind)) {
          const judge = judgeOf(specimen, file);
          for (const damage of damagesOf(specimen, file)) {
            const outcome = await tryOut(specimen, damage);
            judge(specimen, outcome, damage);
            tally.add(classify(specimen, outcome));
          }
        }
        console.log(`${specimen.name}, ${kind}: ${tally}`);
        assertGreater(tally.total, 0);
      },
    );
  }
}

test("damage: the specimens have all that can be damaged", LONG, async () => {
  const [closed, dead, reopened] = await makeSpecimens();
  const kindsOf = ({ files }: Specimen) =>
    namesIn(files).map(kindOf).filter((kind) => kind !== "foreign");
  for (const specimen of [closed, dead, reopened]) {
    const kinds = kindsOf(specimen);
    const all = ["current", "lock", "log", "manifest", "table"];
    assertEquals([...new Set(kinds)].sort(), all);
    assertGreater(kinds.filter((kind) => kind === "table").length, 2);
  }
  assertEquals(kindsOf(dead).filter((kind) => kind === "log").length, 3);
  assertEquals(dead.newestLog?.groups.length, 6);
  assertEquals(dead.newestLog?.states.length, 7);
  assertEquals(new Set(dead.newestLog?.states).size, 7);
  assertEquals(reopened.newestLog?.groups.length, 1);
  for (const specimen of [closed, dead, reopened]) {
    const files = specimen.files.afterProcessDeath();
    await using db = await openIn(files, OPTIONS);
    assertEquals(stateOf(db, specimen.keys), specimen.state);
    const { levels } = db.stats();
    assert(levels.some(({ tombstones }) => tombstones > 0));
    assert(levels.some(({ rangeTombstones }) => rangeTombstones > 0));
  }
});

test(
  "damage: a compaction that meets it fails and keeps every table",
  LONG,
  async () => {
    const [specimen] = await makeSpecimens();
    const tables = specimen.needed.filter((name) => kindOf(name) === "table");
    for (const file of tables) {
      for (let at = 0; at < sizeOf(specimen, file); at += 7) {
        const files = specimen.files.afterProcessDeath();
        change(files, file, (bytes) => void (bytes[at] ^= 0x10));
        const db = await openIn(files, OPTIONS);
        const error = await rejectsWith("CORRUPTION", () => db.majorCompact());
        assertStringIncludes(error.message, file, `${file}, byte ${at}`);
        await db.close();
        for (const name of tables) {
          assert(files.stat(`${PATH}/${name}`), `${name}, byte ${at}`);
        }
      }
    }
  },
);

/** Numbers that look, wherever one starts to read, like the header of something long. */
function hostile(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 24 <= length; at += 24) {
    view.setUint32(at + 4, length >> 1, true);
    view.setUint16(at + 14, LOG_HEADER_LENGTH + 4, true);
    view.setUint32(at + 20, 1, true);
  }
  return bytes;
}

function appendTo(
  files: MemoryFileSystem,
  name: string,
  tail: Uint8Array,
): void {
  change(files, name, (bytes) => {
    const whole = new Uint8Array(bytes.length + tail.length);
    whole.set(bytes);
    whole.set(tail, bytes.length);
    return whole;
  });
}

test(
  "damage: a torn log of a value that looks like groups does not hang the opening",
  LONG,
  async () => {
    const [, dead] = await makeSpecimens();
    const files = dead.files.afterProcessDeath();
    const name = dead.newestLog?.name ?? "";
    appendTo(files, name, hostile(4 * 1024 * 1024));
    const start = performance.now();
    await using db = await openIn(files, OPTIONS);
    assertEquals(stateOf(db, dead.keys), dead.state);
    // Reading 4 MiB takes milliseconds; summing up half of it 175,000 times, minutes.
    assertLess(performance.now() - start, PATIENCE_MS);
  },
);

test(
  "damage: a manifest with a long tail that looks like records does not hang the opening",
  LONG,
  async () => {
    const [closed] = await makeSpecimens();
    const files = closed.files.afterProcessDeath();
    const name = namesIn(files).find((name) => kindOf(name) === "manifest");
    const records = new Uint32Array(1 << 19).fill(1 << 20);
    appendTo(files, name ?? "", new Uint8Array(records.buffer));
    const start = performance.now();
    await using db = await openIn(files, OPTIONS);
    assertEquals(stateOf(db, closed.keys), closed.state);
    assertLess(performance.now() - start, PATIENCE_MS);
  },
);
