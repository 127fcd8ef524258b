/** Backpressure: how long acknowledgements are delayed, and what ends the delay. */
import { test } from "node:test";
import type { Maintenance } from "../../../lib/compaction/maintenance.ts";
import { resolveOptions } from "../../../lib/options.ts";
import { memoryRuntime } from "../../../lib/runtime/memory.ts";
import type { Runtime } from "../../../lib/runtime/runtime.ts";
import type { StallEvent } from "../../../lib/types.ts";
import {
  Backpressure,
  type PressureSource,
} from "../../../lib/write/backpressure.ts";
import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
} from "../../assert.ts";

const MIB = 1024 * 1024;

/** A tree that is nothing but pressure, on a clock that only sleepers move on. */
class FakeSource implements PressureSource {
  now = 1000;
  pressure = 0;
  /** Called after each sleep. */
  onSleep: () => void = () => {};
  readonly told: StallEvent[] = [];
  readonly frozen: unknown[] = [];
  frozenBytes = 0;
  readonly activeMemtable = { bytes: 0 };
  readonly options = resolveOptions({}).options;
  readonly runtime: Runtime = {
    ...memoryRuntime(undefined, { clock: () => this.now }),
    sleep: async (milliseconds) => {
      this.now += milliseconds;
      await Promise.resolve();
      this.onSleep();
    },
  };
  // What backpressure asks of it, and no more.
  readonly maintenance = {
    pressure: () => this.pressure,
    flushes: { bytesRead: 0, seconds: 0 },
    relief: () => Promise.resolve(),
  } as unknown as Maintenance;

  tell(event: StallEvent): void {
    this.told.push(event);
  }
}

function start(pressure: number): [FakeSource, Backpressure] {
  const source = new FakeSource();
  source.pressure = pressure;
  const backpressure = new Backpressure(source);
  backpressure.update();
  return [source, backpressure];
}

test("writes are delayed as the rate says, and what was not written for a while is not made up for", async () => {
  const [source, backpressure] = start(0.5);
  assert(backpressure.isOn);
  const begin = source.now;
  await backpressure.delay(Promise.resolve(), 17 * MIB); // At 17 MiB/s.
  assertLess(Math.abs(source.now - begin - 990), 20);
  source.now += 60_000;
  const later = source.now;
  await backpressure.delay(Promise.resolve(), 17 * MIB);
  assertLess(Math.abs(source.now - later - 990), 20);
  assertEquals(backpressure.count, 2);
});

test("a burst into the last memtable that may be filled is not slowed before that is half full, and more and more from there on", async () => {
  const [source, backpressure] = start(0);
  const { maxFrozenMemtables, writeBufferSize } = source.options;
  const delayAt = async (fill: number) => {
    source.activeMemtable.bytes = fill * writeBufferSize;
    backpressure.update();
    const begin = source.now;
    await backpressure.delay(Promise.resolve(), 12 * MIB);
    return source.now - begin;
  };
  assertEquals(await delayAt(0.9), 0);
  for (let i = 0; i < maxFrozenMemtables; i++) source.frozen.push(i);
  assertEquals(await delayAt(0), 0);
  assertEquals(await delayAt(0.5), 0);
  // At 13 MiB/s: half of three quarters of 32, and the one that is always allowed.
  assertLess(Math.abs(await delayAt(0.75) - 923), 40);
  assertGreater(await delayAt(0.99), 5000);
});

test("who naps for pressure that ends is woken, and not by the timer", async () => {
  const [source, backpressure] = start(0.5);
  source.runtime.sleep = () => new Promise(() => {});
  const delayed = backpressure.delay(Promise.resolve(), 17 * MIB);
  for (let i = 0; i < 5; i++) await Promise.resolve();
  source.pressure = 0;
  backpressure.update();
  await delayed;
  assertEquals(source.told.map((event) => event.begins), [true, false]);
});

test("a delay ends with the pressure, whatever was to be paid for", async () => {
  const [source, backpressure] = start(0.99);
  const begin = source.now;
  let naps = 0;
  source.onSleep = () => {
    if (++naps < 3) return;
    source.pressure = 0;
    backpressure.update();
  };
  await backpressure.delay(Promise.resolve(), 60 * MIB); // A minute, as it looked.
  assertLess(source.now - begin, 200);
  assertEquals(source.told.map((event) => event.begins), [true, false]);
  source.pressure = 0.5;
  backpressure.update();
  const later = source.now;
  await backpressure.delay(Promise.resolve(), 1);
  assertEquals(source.now, later, "nothing of it is asked for afterwards");
});

test("a delay becomes shorter when the pressure falls", async () => {
  const [source, backpressure] = start(0.99);
  const begin = source.now;
  source.onSleep = () => {
    source.pressure = 0.5;
    backpressure.update();
  };
  await backpressure.delay(Promise.resolve(), 17 * MIB);
  assertGreater(source.now - begin, 500);
  assertLess(source.now - begin, 1100);
});

test("close() ends the delays: what was accepted is acknowledged then, and the stall is over", async () => {
  const [source, backpressure] = start(0.99);
  const acknowledged: number[] = [];
  for (let write = 0; write < 3; write++) {
    backpressure.delay(Promise.resolve(), 60 * MIB)
      .then(() => acknowledged.push(write));
  }
  const failed = backpressure.delay(
    Promise.reject(new Error("made by the test")),
    MIB,
  ).catch(() => acknowledged.push(3));
  await backpressure.close();
  await failed;
  assertEquals(acknowledged, [0, 1, 2, 3]);
  assertLess(source.now, 1100);
  assertEquals(source.told.map((event) => event.begins), [true, false]);
});

test("a write that needs room is refused while too much waits for its flush, with what keeps flushes from it", () => {
  const [source, backpressure] = start(0);
  let flushes = 0;
  const maintenance = source.maintenance as unknown as {
    scheduleFlush: () => void;
    flushError: unknown;
  };
  maintenance.scheduleFlush = () => flushes++;
  const { maxFrozenMemtables, writeBufferSize } = source.options;
  source.frozenBytes = 2 * maxFrozenMemtables * writeBufferSize - 1;
  assertEquals(backpressure.refusal(), undefined);
  source.frozenBytes++;
  assertEquals(backpressure.refusal()?.code, "BUSY");
  maintenance.flushError = new Error("made by the test");
  const refusal = backpressure.refusal();
  assertEquals([refusal?.code, refusal?.cause], ["IO", maintenance.flushError]);
  assertEquals([flushes, backpressure.refused], [2, 2]);
});

test("a write that waits for a flush is acknowledged as its log says, though the flush fails", async () => {
  const [source, backpressure] = start(0);
  for (let i = 0; i <= source.options.maxFrozenMemtables; i++) {
    source.frozen.push({});
  }
  const maintenance = source.maintenance as unknown as {
    frozenAtMost: (most: number) => Promise<void>;
  };
  const asked: number[] = [];
  maintenance.frozenAtMost = (most) => {
    asked.push(most);
    return Promise.reject(new Error("made by the test"));
  };
  backpressure.update();
  await backpressure.delay(Promise.resolve(), 1);
  assertEquals(asked, [source.options.maxFrozenMemtables]);
  assertEquals(backpressure.count, 1);
});
