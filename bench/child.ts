/**
 * One step of one scenario, of one store at one size, on the runtime that runs
 * this file. Prints its result as one line of JSON. Started by `run_step.ts`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { directoryBytes, peakMemoryBytes, writtenBytes } from "./machine.ts";
import type { Measurement } from "./measure.ts";
import type { Facts, StepResult } from "./results.ts";
import { GROWTH } from "./growth/families.ts";
import { SCENARIOS } from "./scenarios.ts";
import { storeKind } from "./stores/registry.ts";

const { values } = parseArgs({
  options: {
    store: { type: "string", default: "" },
    scenario: { type: "string" },
    step: { type: "string" },
    size: { type: "string" },
    directory: { type: "string" },
    share: { type: "string", default: "1" },
    only: { type: "string", multiple: true, default: [] },
  },
});
const kind = storeKind(values.store);
const scenario = [...SCENARIOS, ...GROWTH].find(({ name }) =>
  name === values.scenario
);
const step = scenario?.steps[Number(values.step)];
if (step === undefined || values.directory === undefined) {
  throw new Error(`no step ${values.step} of scenario ${values.scenario}`);
}
const { directory, only } = values;

const measurements: Measurement[] = [];
const writtenBefore = writtenBytes();
let dataBytes = 0;
await step({
  size: Number(values.size),
  directory,
  share: Number(values.share),
  open: (settings) =>
    kind.open({
      directory,
      durability: "buffered",
      keepInLog: false,
      ...settings,
    }),
  isWanted: (name) => only.length === 0 || only.includes(name),
  report: (measurement) => measurements.push(measurement),
  wrote: (bytes) => dataBytes += bytes,
});
const facts: Facts = {
  peakMemory: peakMemoryBytes(),
  diskBytes: directoryBytes(directory),
  writeAmplification: dataBytes > 0
    ? (writtenBytes() - writtenBefore) / dataBytes
    : undefined,
};
const result: StepResult = { measurements, facts };
process.stdout.write(JSON.stringify(result) + "\n");
process.exit(0); // A store's threads may keep the process.
