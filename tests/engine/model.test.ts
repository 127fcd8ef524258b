/**
 * Random operations on a database in memory, checked against a sorted map
 * after every one of them.
 *
 * Every test name carries its seed. `VARVE_SEED=n` runs that seed alone, over
 * every option set.
 *
 * @module
 */
import process from "node:process";
import { test } from "node:test";
import { LONG } from "./support/configs.ts";
import { ModelRun } from "./support/model_run.ts";
import { OPTION_SETS } from "./support/option_sets.ts";

const OPERATIONS = 1200;
const SEEDS_EACH = 6;

const replayed = process.env.VARVE_SEED;

/** Fixed seeds, and one that is new in every run. */
function seedsFor(set: number): number[] {
  if (replayed !== undefined) return [Number(replayed)];
  const seeds = [Date.now() % 1_000_000_000];
  for (let i = 1; i < SEEDS_EACH; i++) seeds.push(set * 1000 + i);
  return seeds;
}

Object.entries(OPTION_SETS).forEach(([name, options], set) => {
  for (const seed of seedsFor(set)) {
    test(`model: ${name}, VARVE_SEED=${seed}`, LONG, async () => {
      const run = new ModelRun(seed, options);
      try {
        await run.start();
        for (let i = 0; i < OPERATIONS; i++) await run.step();
        await run.finish();
      } catch (error) {
        const steps = run.history.slice(-25).join("\n  ");
        throw new Error(
          `VARVE_SEED=${seed} with ${name} failed at step ` +
            `${run.history.length}; the last ones:\n  ${steps}`,
          { cause: error },
        );
      } finally {
        await run.abandon();
      }
    });
  }
});
