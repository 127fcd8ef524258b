/**
 * The answers to one sequence of operations under one option set.
 *
 * @module
 */
import type { Options } from "../../mod.ts";
import { ModelRun } from "../engine/support/model_run.ts";

const LAST_STEPS = 25;

/**
 * Runs the operations of a seed on a database in memory.
 *
 * @returns The hash of all answers.
 * @throws If an answer is not the model's; the error has the last steps.
 */
export async function answersTo(
  seed: number,
  operations: number,
  options: Options,
): Promise<string> {
  const run = new ModelRun(seed, options);
  try {
    await run.start();
    for (let i = 0; i < operations; i++) await run.step();
    await run.finish();
    return run.digest;
  } catch (error) {
    const steps = run.history.slice(-LAST_STEPS).join("\n  ");
    throw new Error(`step ${run.history.length}; the last ones:\n  ${steps}`, {
      cause: error,
    });
  } finally {
    await run.abandon();
  }
}
