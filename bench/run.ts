/**
 * Runs the benchmarks and prints Markdown tables: `deno task bench`.
 *
 * ```text
 *   --runtime NAME   deno, bun or node; may be repeated (default: deno and bun)
 *   --size N         entries; may be repeated (default: 100000 and 500000)
 *   --only NAME      a measurement or scenario; may be repeated (default: all)
 *   --rounds N       interleaved rounds, of which medians are shown (default 1)
 *   --directory DIR  where the stores are made (default: the temporary directory)
 *   --json FILE      writes every result of every round there too
 *   --quick          10,000 entries, for a look
 * ```
 *
 * Each step of each scenario is a fresh process on a fresh directory. Rounds
 * are interleaved over the runtimes, so that a slow minute of the machine
 * falls on all of them.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, tmpdir, totalmem, type as osType } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import {
  findRuntime,
  type Runtime,
  type RuntimeName,
  RUNTIMES,
} from "../tests/tools/runtimes.ts";
import type { Facts, StepResult } from "./child.ts";
import { mebibytes, median, thousands } from "./machine.ts";
import { printTable } from "./table.ts";
import { type Scenario, SCENARIOS, type Unit } from "./workloads.ts";

const QUICK_SIZE = 10_000;
const DEFAULT_SIZES = [100_000, 500_000];
const DEFAULT_RUNTIMES: RuntimeName[] = ["deno", "bun"];
/** The columns of tables that are text, not figures. */
const TEXT_COLUMNS = 2;
const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));

/** What the command line asks for. */
interface Settings {
  readonly runtimes: RuntimeName[];
  readonly sizes: number[];
  readonly only: string[];
  readonly rounds: number;
  readonly directory: string;
  readonly json: string | undefined;
}

/** One measurement of one round. */
interface Row {
  readonly round: number;
  readonly runtime: string;
  readonly size: number;
  readonly scenario: string;
  readonly name: string;
  readonly unit: Unit;
  readonly figure: number;
  readonly count: number;
}

/** What a scenario left behind, in one round. */
interface FactsRow extends Facts {
  readonly round: number;
  readonly runtime: string;
  readonly size: number;
  readonly scenario: string;
}

/** Everything that was found. */
interface Results {
  readonly rows: Row[];
  readonly facts: FactsRow[];
}

function readSettings(): Settings {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      runtime: { type: "string", multiple: true },
      size: { type: "string", multiple: true },
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
      json: { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const sizes = values.size?.map((text) => wholeNumber("--size", text));
  const names = SCENARIOS.flatMap(({ name, measures }) => [name, ...measures]);
  for (const name of values.only) {
    if (!names.includes(name)) {
      throw new Error(`--only ${name}: there are ${names.join(", ")}`);
    }
  }
  return {
    runtimes: values.runtime?.map(runtimeName) ?? DEFAULT_RUNTIMES,
    sizes: sizes ?? (values.quick ? [QUICK_SIZE] : DEFAULT_SIZES),
    only: values.only,
    rounds: wholeNumber("--rounds", values.rounds),
    directory: values.directory,
    json: values.json,
  };
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text.replaceAll("_", ""));
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new Error(`${option} ${text}: a whole number from 1`);
}

function runtimeName(text: string): RuntimeName {
  const found = RUNTIMES.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Error(`--runtime ${text}: one of ${RUNTIMES.join(", ")}`);
}

/** The scenarios asked for, each with those of its measurements that are. */
function wantedScenarios(only: string[]): [Scenario, string[]][] {
  const wanted: [Scenario, string[]][] = [];
  for (const scenario of SCENARIOS) {
    const { name, measures } = scenario;
    const isWhole = only.length === 0 || only.includes(name);
    const names = measures.filter((measure) => only.includes(measure));
    if (isWhole || names.length > 0) wanted.push([scenario, names]);
  }
  return wanted;
}

/** Runs one step in a process of its own. */
async function runStep(
  runtime: Runtime,
  scenario: Scenario,
  step: number,
  size: number,
  directory: string,
  only: string[],
): Promise<StepResult> {
  const command = new Deno.Command(runtime.path, {
    args: [
      ...(runtime.name === "deno" ? ["run", "-A"] : []),
      CHILD,
      ...["--scenario", scenario.name, "--step", String(step)],
      ...["--size", String(size), "--directory", directory],
      ...only.flatMap((name) => ["--only", name]),
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  });
  const output = await command.output();
  if (scenario.isKilled && step === 0 && output.signal === "SIGKILL") {
    return { measurements: [], facts: undefined };
  }
  if (!output.success) {
    throw new Error(
      `${scenario.name}, step ${step}, ${thousands(size)} entries on ` +
        `${runtime.name} failed (${output.signal ?? output.code})`,
    );
  }
  const lines = new TextDecoder().decode(output.stdout).trim().split("\n");
  return JSON.parse(lines.at(-1) ?? "") as StepResult;
}

/** Runs a scenario on a fresh directory. */
async function runScenario(
  settings: Settings,
  runtime: Runtime,
  size: number,
  scenario: Scenario,
  only: string[],
): Promise<StepResult> {
  const parent = mkdtempSync(join(settings.directory, "varve-bench-"));
  try {
    const directory = join(parent, "store");
    let last: StepResult = { measurements: [], facts: undefined };
    for (let step = 0; step < scenario.steps.length; step++) {
      last = await runStep(runtime, scenario, step, size, directory, only);
    }
    return last;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

async function runAll(
  settings: Settings,
  runtimes: Runtime[],
): Promise<Results> {
  const results: Results = { rows: [], facts: [] };
  for (let round = 1; round <= settings.rounds; round++) {
    for (const size of settings.sizes) {
      for (const [scenario, only] of wantedScenarios(settings.only)) {
        for (const runtime of runtimes) {
          console.error(
            `round ${round}: ${scenario.name}, ${thousands(size)} entries, ` +
              runtime.name,
          );
          const { measurements, facts } = await runScenario(
            settings,
            runtime,
            size,
            scenario,
            only,
          );
          const common = {
            round,
            runtime: runtime.name,
            size,
            scenario: scenario.name,
          };
          results.rows.push(...measurements.map((m) => ({ ...common, ...m })));
          if (facts !== undefined) results.facts.push({ ...common, ...facts });
        }
      }
    }
  }
  return results;
}

/** Of every measurement at a size, the median over the rounds by runtime. */
function printRates(rows: Row[], runtimes: Runtime[], size: number): void {
  const names = new Map<string, Unit>();
  for (const row of rows) {
    if (row.size === size) names.set(row.name, row.unit);
  }
  printTable(
    [`${thousands(size)} entries`, "unit", ...runtimes.map(({ name }) => name)],
    [...names].map(([name, unit]) => [
      name,
      unit,
      ...runtimes.map((runtime) => {
        const figure = median(
          rows.filter((row) =>
            row.size === size && row.name === name &&
            row.runtime === runtime.name
          ).map((row) => row.figure),
        );
        return unit === "ms" ? figure.toFixed(1) : thousands(figure);
      }),
    ]),
    TEXT_COLUMNS,
  );
}

/** Memory, disk and write amplification by scenario and runtime. */
function printFacts(facts: FactsRow[], runtimes: Runtime[], size: number) {
  const here = facts.filter((row) => row.size === size);
  const scenarios = [...new Set(here.map((row) => row.scenario))];
  const rows: string[][] = [];
  for (const scenario of scenarios) {
    for (const { name } of runtimes) {
      const mine = here.filter((row) =>
        row.scenario === scenario && row.runtime === name
      );
      const middle = (pick: (row: FactsRow) => number) =>
        median(mine.map(pick));
      rows.push([
        scenario,
        name,
        mebibytes(middle((row) => row.peakMemory)),
        mebibytes(middle((row) => row.diskBytes)),
        middle((row) => row.writeAmplification).toFixed(2),
        `${middle((row) => row.stallSeconds).toFixed(2)} s`,
      ]);
    }
  }
  printTable(
    [
      `${thousands(size)} entries`,
      "runtime",
      "peak memory",
      "on disk",
      "write ampl.",
      "stalled",
    ],
    rows,
    TEXT_COLUMNS,
  );
}

const settings = readSettings();
const runtimes: Runtime[] = [];
for (const name of settings.runtimes) runtimes.push(await findRuntime(name));
const machine = `${cpus().length} x ${cpus()[0]?.model ?? "?"}, ${
  mebibytes(totalmem())
}, ${osType()} ${release()}`;
const versions = runtimes.map(({ name, version }) => `${name} ${version}`);

const results = await runAll(settings, runtimes);
if (settings.json !== undefined) {
  const report = { machine, versions, ...results };
  writeFileSync(settings.json, JSON.stringify(report, null, 2) + "\n");
}
console.log(
  `${machine}. ${versions.join(", ")}. 16-byte keys, 100-byte ` +
    `values, ${
      settings.rounds === 1 ? "1 round" : `medians of ${settings.rounds} rounds`
    }.\n`,
);
for (const size of settings.sizes) {
  printRates(results.rows, runtimes, size);
  printFacts(results.facts, runtimes, size);
}
