/**
 * The mutants: for each mark in lib/ what is made of the line below it.
 *
 * A mark is a comment on a line of its own:
 *
 * ```
 * // mutant sync-log: without it what was acknowledged may be lost
 * await this.file.sync();
 * ```
 *
 * @module
 */

/** What is taken away from the engine. */
export type MutantKind = "sync" | "checksum" | "tombstone" | "order";

/** How a marked statement is changed: it goes, or the first of the texts becomes the second. */
export type Change = "remove" | readonly [from: string, to: string];

/** A mutant, but for its name. */
export interface Mutant {
  readonly kind: MutantKind;
  readonly change: Change;
  /** The tests that fail without the line, if simulations do not have what it is for. */
  readonly test?: string;
}

/** What is synced. */
const SYNCS: Record<string, Change> = {
  "sync-log-header": "remove",
  "sync-log": "remove",
  "sync-log-blocking": "remove",
  "sync-log-end": "remove",
  "sync-group": ["this.log.sync()", "undefined"],
  "sync-before-seal": "remove",
  "sync-rewritten-log": "remove",
  "sync-directory-of-log": "remove",
  "sync-directory-of-tables": "remove",
  "sync-table": "remove",
  "sync-edit": "remove",
  "sync-directory-of-manifest": "remove",
  "sync-current": "remove",
  "sync-directory-of-current": "remove",
  "sync-parent-directory": ["!names.includes(CURRENT)", "status === undefined"],
  "sync-at-close": "remove",
  "sync-by-call": ["this.commits.flush()", "Promise.resolve()"],
  "finish-before-next-log": "remove",
};

/** What is checked. */
const CHECKSUMS: Record<string, Change> = {
  "checksum-log-header": ["getU32(bytes, 32) !==", "void"],
  "checksum-group-header": "remove",
  "checksum-group": ["sum === getU32(log, offset + 4)", "true || sum"],
  "checksum-record-header": ["getU32(bytes, offset) ===", "void header ||"],
  "checksum-record": ["getU32(bytes, offset + 4) === sum", "sum >= 0"],
  "checksum-current": [" || encode(current) !== text", ""],
  "checksum-footer": ["getU32(bytes, CHECKED) !== expected", "false"],
  "checksum-section": ["found !== expected", "false"],
  "checksum-of-place": ["return (", "return 0 * ("],
};

/** What keeps tombstones and older versions. */
const TOMBSTONES: Record<string, Change> = {
  "flush-keeps-tombstones": ["false", "true"],
  "flush-keeps-ranges": ["false", "true"],
  "range-elision-age": ["meta.oldest < this.sequence", "meta.oldest < 0"],
  "range-elision-key": [
    "!this.outside.someAt(bare, end - start, this.isOlder)",
    "true",
  ],
  "range-elision-range": [
    "!this.outside.someIn(start, end, this.isOlder)",
    "true",
  ],
  "lookup-elision-filter": [
    "table.filterLetsThrough(this.line, this.bits)",
    "false",
  ],
  "lookup-elision-maybe": [
    "(!this.rules.bloomFallback ||",
    "(this.rules.bloomFallback &&",
  ],
  "lookup-elision-older": [
    "table.holdsOlder(key, keyLength, sequence, this.found)",
    "false",
  ],
  "lookup-elision-range": ["hasOlderKey(table, start, end, sequence)", "false"],
  "lookup-elision-probes": [
    " || ++probes > PROBES_MAX) return true;",
    ") return true;\n      if (++probes > PROBES_MAX) return false;",
  ],
  "beside-other-tables": ["!isBusy(t)", "true"],
  "lane-waits-for-beside": ["this.besideEnd", "undefined"],
  "outside-older": ["meta.oldest < newest", "false"],
  "outside-unbounded": [
    "unbounded ? EMPTY : keySuccessor(largest)",
    "keySuccessor(largest)",
  ],
  "flush-keeps-for-snapshots": ["this.tree.snapshotSequences()", "[]"],
  "covered-keeps-for-snapshots": ["this.tree.snapshotSequences()", "[]"],
  "merge-keeps-for-snapshots": ["this.tree.snapshotSequences()", "[]"],
  "merge-keeps-versions": [" && stripe === this.lastStripe", ""],
  "merge-keeps-under-ranges": [
    "this.covers[stripe]",
    "this.covers[this.covers.length - 1]",
  ],
  "merge-keeps-tombstones-of-snapshots": [" || stripe > 0", ""],
  "merge-keeps-tombstones": [
    "!this.elision.nothingOlder(key, keyStart, keyEnd, sequence)",
    "false",
  ],
  "merge-keeps-range-versions": [
    "stripeOf(snapshots, sequences[i + 1]) !== stripeOf(snapshots, sequence)",
    "false",
  ],
  "merge-keeps-ranges-of-snapshots": [
    "stripeOf(snapshots, sequence) > 0 ||",
    "",
  ],
  "merge-keeps-ranges": [
    "!elision.nothingOlderInRange(start, end, sequence)",
    "false",
  ],
  "covered-reach": "remove",
  "covered-hides": "remove",
  "covered-unbounded": ["!unbounded && ", ""],
  "covered-end": [
    "isBeforeEnd(largest, 0, largest.length, end)",
    "largest.length > 0",
  ],
  "covered-newer": ["sequence > newest", "sequence > oldest"],
  "covered-snapshots": [
    "stripeOf(snapshots, hiding) === stripeOf(snapshots, oldest)",
    "true",
  ],
  "memtable-keeps-range-versions": [
    "snapshots.some((reader) => older <= reader && reader < newer)",
    "false",
  ],
  "readers-keep-their-sequence": "remove",
  "readers-keep-their-snapshots": "remove",
  "ranges-before-filter": [
    "ranges !== undefined",
    "ranges !== undefined && (!filter || mayContain(filter, line, bits))",
  ],
  "newer-in-table": [
    "found.sequence >= this.meta.newest",
    "found.sequence > 0",
  ],
  "newer-in-level-0": [
    "table.meta.newest <= found.sequence",
    "found.sequence > 0",
  ],
  "newer-in-level": ["newest[level] <= found.sequence", "found.sequence > 0"],
};

/** What comes before what, and what must not come any more. */
const ORDERS: Record<string, Change> = {
  "edit-before-logs-go": [
    "this.guard(() =>",
    'for (const number of edit.removeLogs ?? []) {\n      this.removeFile(this.path("log", number));\n    }\n    this.guard(() =>',
  ],
  "edit-before-tables-go": [
    "this.guard(() =>",
    'for (const number of edit.removeTables ?? []) {\n      if (!edit.addTables?.some(({ table }) => table.number === number)) {\n        this.removeFile(this.path("table", number));\n      }\n    }\n    this.guard(() =>',
  ],
  "moved-tables-stay": "remove",
  "table-stays-while-read": "remove",
  "version-stays-while-read": "remove",
  "oldest-of-the-key": ["isFirst ?", "next === 0 ?"],
  "filter-has-what-was-taken": "remove",
  "filter-has-all": ["node !== 0 || ", ""],
  "memtable-stays-while-read": ["--this.readers === 0", "true"],
  "latch": "remove",
  "latch-of-writes": "remove",
  "latch-behind-last-group": ["this.health.failure === undefined", "true"],
  "latch-after-failed-log-change": "remove",
  "latch-after-failed-edit": "remove",
  "latch-before-edit": "remove",
  "latch-after-directory": "remove",
  "one-sync-of-a-log": [" || this.commits.isSyncing", ""],
  "one-sync-at-a-time": [" || this.syncing !== undefined", ""],
  "latch-of-the-log": "remove",
  "latch-before-seal": "remove",
  "failed-sync-is-told": "remove",
  "failed-sync-of-table": "remove",
  "failed-blocking-sync": [
    "group.reject(this.fail(error))",
    "this.settleSynced(group)",
  ],
  "latch-of-acknowledgements": "remove",
  "acknowledge-what-was-synced": [
    "this.settleSynced(group);",
    "this.settleSynced(group);\n    const early = this.synced;\n    this.synced = undefined;\n    if (early !== undefined) this.settle(early);",
  ],
  "acknowledge-as-asked": ['durability === "sync"', "false"],
  "synced-up-to-the-call": ["this.synced = end", "this.synced = this.end"],
  "mark-is-synced": ["this.synced", "this.end"],
  "filler-behind-groups": ["Math.max(this.end, this.laidOut)", "this.laidOut"],
  "group-without-gaps": "remove",
  "edit-before-new-log": "remove",
  "logs-of-waiting-memtables-stay": [
    "log < next.firstLog",
    "log <= next.firstLog",
  ],
  "flushed-sequence": "remove",
  "replay-what-is-in-no-table": "remove",
  "torn-log-is-written-again": "remove",
  "sequences-of-logs": ["last?.seal.lastSequence ?? 0", "0"],
  "sequences-of-manifest": ["state.lastSequence", "0"],
  "logs-with-memtables-stay": ["kept === 0 ? logs : unsealed", "numbers"],
  "numbers-of-the-directory": "remove",
  "orphans-go": "remove",
  "orphans-behind-damage-stay": "remove",
  "unknown-logs": "remove",
  "tables-are-there": "remove",
  "snapshot-is-whole": ["offset < snapshotLength", "false"],
  "damage-is-no-torn-end": ["isRecordHeader(bytes, later, number)", "false"],
  "short-read-is-no-end": ["read !== bytes.length", "false"],
  "damage-is-no-lost-tail": ["mark > offset", "false"],
  "log-is-long-enough": ["bytes.length < least", "false"],
  "block-is-still-there": ["cache.isStill(segment, generation)", "true"],
  "copy-is-whole": "remove",
  "value-is-whole": ["found.holds()", "true"],
  "value-in-target-is-whole": ["found.holds()", "true"],
  "incarnation-of-the-lock": [
    "incarnation & 255",
    "Atomics.load(words, this.base + INCARNATION) & 255",
  ],
  "lock-that-cleans-up": ["-own", "own"],
  "filled-cells-are-left-empty": "remove",
  "cell-being-filled": ["isFilled ? 0 : LOST", "0"],
  "generation-of-seen-blocks": "remove",
  "record-of-block": ["!isRecordOf(records, record, table, ordinal)", "false"],
  "files-of-a-dead-worker-go": "remove",
  "files-of-a-failed-job-go": "remove",
  "flushes-go-on": "remove",
  "who-waits-is-woken": "remove",
  "inputs-are-let-go": "remove",
  "old-log-is-closed": "remove",
};

const OVERWRITTEN = "tests/unit/sstable/overwritten.test.ts";
/** Tests of what needs a second thread, which simulations do not have. */
const TESTS: Record<string, string> = {
  "readers-keep-their-sequence": "tests/engine/share.test.ts",
  "block-is-still-there": OVERWRITTEN,
  "copy-is-whole": OVERWRITTEN,
  "value-is-whole": OVERWRITTEN,
  "value-in-target-is-whole": OVERWRITTEN,
  "incarnation-of-the-lock": "tests/unit/cache/given_up.test.ts",
  "cell-being-filled": "tests/unit/share/control.test.ts",
  "filled-cells-are-left-empty": "tests/unit/share/control.test.ts",
  "lock-that-cleans-up": "tests/unit/cache/given_up.test.ts",
  "record-of-block": "tests/unit/cache/block_cache.test.ts",
};

function all(
  kind: MutantKind,
  changes: Record<string, Change>,
): [string, Mutant][] {
  return Object.entries(changes).map(([name, change]) => {
    const test = TESTS[name];
    const mutant = { kind, change };
    return [name, test === undefined ? mutant : { ...mutant, test }];
  });
}

/** Every mutant, by its name. */
export const MUTANTS: ReadonlyMap<string, Mutant> = new Map([
  ...all("sync", SYNCS),
  ...all("checksum", CHECKSUMS),
  ...all("tombstone", TOMBSTONES),
  ...all("order", ORDERS),
]);
