import { describe, test } from "node:test";
import { assertEquals, assertRejects } from "../assert.ts";
import { SeededDice } from "./random.ts";
import { NoProgress, Scheduler } from "./scheduler.ts";

const WORLD = { isDead: false };

/** The order in which five tasks that are due at once run under a seed. */
async function orderOf(seed: number): Promise<number[]> {
  const scheduler = new Scheduler(new SeededDice(seed));
  const order: number[] = [];
  const all = [0, 1, 2, 3, 4].map(async (i) => {
    await scheduler.sleep(0, WORLD);
    order.push(i);
  });
  await scheduler.runUntil(Promise.all(all));
  return order;
}

describe("Scheduler", () => {
  test("lets the seed order what is due at once", async () => {
    assertEquals(await orderOf(3), await orderOf(3));
    const orders = new Set<string>();
    for (let seed = 0; seed < 20; seed++) orders.add(`${await orderOf(seed)}`);
    assertEquals(orders.size > 10, true);
  });

  test("runs tasks in the order of their times, without waiting", async () => {
    const scheduler = new Scheduler(new SeededDice(1));
    const times: number[] = [];
    const all = [5_000_000, 1, 70].map(async (milliseconds) => {
      await scheduler.sleep(milliseconds, WORLD);
      times.push(scheduler.now);
    });
    await scheduler.runUntil(Promise.all(all));
    assertEquals(times, [1, 70, 5_000_000]);
  });

  test("lets all microtasks run between two tasks", async () => {
    const scheduler = new Scheduler(new SeededDice(1));
    const seen: string[] = [];
    const both = ["a", "b"].map(async (name) => {
      await scheduler.sleep(0, WORLD);
      seen.push(name);
      for (let i = 0; i < 100; i++) await undefined;
      seen.push(name);
    });
    await scheduler.runUntil(Promise.all(both));
    assertEquals(seen[0], seen[1]);
    assertEquals(seen[2], seen[3]);
  });

  test("runs nothing of a dead owner, nor what was cancelled", async () => {
    const scheduler = new Scheduler(new SeededDice(1));
    const owner = { isDead: false };
    let calls = 0;
    const call = () => void calls++;
    scheduler.after(1, owner, call);
    scheduler.after(1, WORLD, call)();
    owner.isDead = true;
    scheduler.dropDead();
    scheduler.after(1, owner, call);
    await scheduler.runUntil(scheduler.sleep(10, WORLD));
    assertEquals(calls, 0);
  });

  test("idle() comes when nothing but ticking timers is left", async () => {
    const scheduler = new Scheduler(new SeededDice(1));
    const tick = () => void scheduler.after(1, WORLD, tick, true);
    tick();
    let isDone = false;
    scheduler.after(500, WORLD, () => isDone = true);
    await scheduler.runUntil(scheduler.idle());
    assertEquals(isDone, true);
  });

  test("gives up what hangs, and what never ends", async () => {
    const never = new Promise<void>(() => {});
    const hanging = new Scheduler(new SeededDice(1));
    await assertRejects(() => hanging.runUntil(never), NoProgress);
    const ticking = new Scheduler(new SeededDice(1));
    const tick = () => void ticking.after(1, WORLD, tick, true);
    tick();
    await assertRejects(() => ticking.runUntil(never), NoProgress);
    const busy = new Scheduler(new SeededDice(1));
    const again = () => void busy.after(0, WORLD, again);
    again();
    await assertRejects(() => busy.runUntil(never), NoProgress);
  });
});
