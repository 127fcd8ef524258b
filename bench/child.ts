/**
 * One step of one scenario, at one size, on the runtime that runs this file.
 * Prints its result as one line of JSON. Started by `run.ts`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { directoryBytes, peakMemoryBytes } from "./machine.ts";
import { type Measurement, SCENARIOS, type Store } from "./workloads.ts";

/** What the store and the process were like at the end of a step. */
export interface Facts {
  /** The most memory that the process had resident, in bytes. */
  readonly peakMemory: number;
  /** Bytes of the directory after the close. */
  readonly diskBytes: number;
  readonly writeAmplification: number;
  readonly stalls: number;
  readonly stallSeconds: number;
  /** What wrote and merged tables. */
  readonly background: string;
}

/** The result of a step. */
export interface StepResult {
  readonly measurements: Measurement[];
  readonly facts: Facts | undefined;
}

const { values } = parseArgs({
  options: {
    scenario: { type: "string" },
    step: { type: "string" },
    size: { type: "string" },
    directory: { type: "string" },
    only: { type: "string", multiple: true, default: [] },
  },
});
const scenario = SCENARIOS.find(({ name }) => name === values.scenario);
const step = scenario?.steps[Number(values.step)];
if (step === undefined || values.directory === undefined) {
  throw new Error(`no step ${values.step} of scenario ${values.scenario}`);
}
const { directory, only } = values;

const measurements: Measurement[] = [];
let facts: Facts | undefined;
await step({
  size: Number(values.size),
  directory,
  isWanted: (name) => only.length === 0 || only.includes(name),
  report: (measurement) => measurements.push(measurement),
  finish: (db: Store) => {
    const stats = db.stats();
    facts = {
      peakMemory: peakMemoryBytes(),
      diskBytes: 0,
      writeAmplification: stats.writeAmplification,
      stalls: stats.stalls.count,
      stallSeconds: stats.stalls.seconds,
      background: stats.background,
    };
  },
});
if (facts !== undefined) {
  facts = { ...facts, diskBytes: directoryBytes(directory) };
}
const result: StepResult = { measurements, facts };
process.stdout.write(JSON.stringify(result) + "\n");
