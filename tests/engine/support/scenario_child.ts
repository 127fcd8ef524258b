/**
 * A process that lives one life of a scenario, prints how far it came, and
 * then stands still until it is killed.
 *
 * Arguments: the directory, the scenario's name, the number of the life.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { open } from "../../open.ts";
import { type Reached, scenarioNamed } from "./scenarios.ts";

/** Prints and blocks the thread, so that nothing of the engine runs any more. */
function die(reached: Reached): void {
  writeSync(1, `${JSON.stringify(reached)}\n`);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

const [dir, name, life] = process.argv.slice(2);
const scenario = scenarioNamed(name);
const db = await open(dir, scenario.options);
await scenario.lives[Number(life)](db, die);
