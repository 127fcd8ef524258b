/** Scans: used once, closed however they end, and then nothing is held any more. */
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { MergingCursor } from "../../../lib/read/merging_cursor.ts";
import { RangeCover } from "../../../lib/read/range_cover.ts";
import { Scan, type ScanHost } from "../../../lib/read/scan.ts";
import { VisibleRows } from "../../../lib/read/visible.ts";
import { Results } from "../../../lib/runtime/results.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
} from "../../assert.ts";
import { text } from "../../engine/support/bytes.ts";
import { throwsWith } from "../../engine/support/errors.ts";
import { ListCursor, put } from "../support/entries.ts";

class Host implements ScanHost {
  isClosed = false;
  pauses = 0;
  time = 0;
  /** Milliseconds that pass at each look at the clock. */
  tick = 0;

  checkOpen(): void {
    if (this.isClosed) throw new VarveError("CLOSED", "the database is closed");
  }

  readonly runtime = {
    pause: (): Promise<void> => {
      this.pauses++;
      return Promise.resolve();
    },
    monotonicClock: (): number => {
      this.time += this.tick;
      return this.time;
    },
  };
}

interface Made {
  readonly scan: Scan;
  readonly host: Host;
  readonly released: () => number;
}

/** A scan over keys `0`, `1` and so on, of one digit. */
function make(rows = 5, limit = Infinity): Made {
  const entries = Array.from(
    { length: rows },
    (_, i) => put(`${i}`, i + 1, `v${i}`),
  );
  const host = new Host();
  let released = 0;
  const visible = new VisibleRows(
    new MergingCursor([new ListCursor(entries)], false),
    new RangeCover([], 100),
    100,
    { start: undefined, end: undefined },
    false,
    new Results(true),
  );
  const scan = new Scan(host, {
    rows: visible,
    release: () => {
      released++;
      visible.close();
    },
    limit,
    keys: undefined,
    values: undefined,
  });
  return { scan, host, released: () => released };
}

test("a scan that is exhausted, broken out of or disposed lets go, once", () => {
  const exhausted = make();
  assertEquals([...exhausted.scan].length, 5);
  assertEquals(exhausted.released(), 1);

  const broken = make();
  for (const [key] of broken.scan) if (text(key) === "2") break;
  assertEquals(broken.released(), 1);

  const thrown = make();
  try {
    for (const _ of thrown.scan.keys()) throw new Error("left by the test");
  } catch {
    assertEquals(thrown.released(), 1);
  }

  const disposed = make();
  disposed.scan[Symbol.dispose]();
  disposed.scan.close();
  assertEquals(disposed.released(), 1);

  const iterated = make();
  {
    using iterator = iterated.scan.keys();
    iterator.next();
    assertEquals(iterated.released(), 0);
  }
  assertEquals(iterated.released(), 1);
  for (const { scan } of [exhausted, broken, thrown, disposed, iterated]) {
    throwsWith("CLOSED", () => scan.keys());
    throwsWith("CLOSED", () => [...scan]);
  }
});

test("a walk by hand tells its end again and again", () => {
  const { scan, released } = make(1);
  const walk = scan.values();
  assertEquals(text(walk.next().value), "v0");
  for (let i = 0; i < 3; i++) assertEquals(walk.next().done, true);
  assertEquals(released(), 1);
});

test("the limit counts rows, and 0 is none", () => {
  for (const limit of [0, 1, 4, 5, 6]) {
    const { scan, released } = make(5, limit);
    assertEquals([...scan.keys()].length, Math.min(5, limit));
    assertEquals(released(), 1);
  }
});

test("a scan of a database that was closed throws CLOSED, and lets go", () => {
  const before = make();
  before.host.isClosed = true;
  throwsWith("CLOSED", () => before.scan.keys());
  const amid = make();
  const walk = amid.scan.keys();
  walk.next();
  amid.host.isClosed = true;
  throwsWith("CLOSED", () => walk.next());
  walk.return();
  assertEquals(amid.released(), 1);
});

test("an error of the sources comes through, and the scan lets go", () => {
  class Failing extends ListCursor {
    override next(): void {
      throw new VarveError("CORRUPTION", "made by the test");
    }
  }
  let released = 0;
  const rows = new VisibleRows(
    new MergingCursor([new Failing([put("a", 1), put("b", 2)])], false),
    new RangeCover([], 9),
    9,
    { start: undefined, end: undefined },
    false,
    new Results(true),
  );
  const scan = new Scan(new Host(), {
    rows,
    release: () => released++,
    limit: Infinity,
    keys: undefined,
    values: undefined,
  });
  throwsWith("CORRUPTION", () => [...scan]);
  assertEquals(released, 1);
});

test("for await gives way to the event loop as time passes, and not otherwise", async () => {
  const slow = make(10);
  slow.host.tick = 3;
  const keys: (string | undefined)[] = [];
  for await (const [key] of slow.scan) keys.push(text(key));
  assertEquals(keys.length, 10);
  assertGreater(slow.host.pauses, 2);
  assertEquals(slow.released(), 1);
  const quick = make(10);
  for await (const _ of quick.scan) assertEquals(quick.host.pauses, 0);
  assertEquals(quick.host.pauses, 0);
});

test("for await that is left early lets go", async () => {
  const { scan, released } = make();
  for await (const _ of scan.keys()) break;
  assertEquals(released(), 1);
  const failing = make();
  failing.host.tick = 10;
  await assertRejects(async () => {
    for await (const _ of failing.scan) failing.host.isClosed = true;
  }, VarveError);
  assertEquals(failing.released(), 1);
  assert(failing.host.pauses <= 1);
});
