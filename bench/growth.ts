/**
 * Measures what Varve costs as things grow, and fails if it is more than it may
 * be: `deno task bench:growth`.
 *
 * ```text
 *   --family NAME    may be repeated (default: all):
 *                    entries     the number of entries, in either strategy
 *                    values      their size, with 64 MiB of data
 *                    keys        their size, with 200,000 entries
 *                    tombstones  the share of 500,000 entries that is deleted
 *                    ranges      range tombstones in 1 million entries
 *                    replay      an open that replays a log of 64 MiB
 *                    cold        lookups without the page cache
 *   --runtime NAME   deno, bun or node; may be repeated (default: deno and bun)
 *   --entries N      of the family entries; may be repeated (default: ten
 *                    thousand, a hundred thousand, 1 and 10 million)
 *   --strategy S     of the family entries; may be repeated (default: both)
 *   --rounds N       interleaved rounds, of which medians are shown (default 1)
 *   --directory DIR  where the stores are made (default: the temporary directory)
 *   --json FILE      writes every figure there too
 *   --charts DIR     draws the figures there as SVG
 *   --quick          a hundredth of everything, for a look: the figures stand at
 *                    the sizes of a full run, and no bound fails
 * ```
 *
 * Each point is made of fresh processes on a fresh directory, each answer is
 * checked, writes are buffered. The families are in `growth/`, the bounds in
 * `growth/bounds.ts`; the exit code is 1 if one is missed. The family `cold`
 * empties the page cache of the whole machine, where it may.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { findRuntime } from "../tests/tools/runtimes.ts";
import { oneOf, runtimesOf, wholeNumber } from "./arguments.ts";
import { isKept, verdictsOf } from "./growth/bounds.ts";
import { STRATEGIES } from "./growth/entries.ts";
import { FAMILIES, GROWTH } from "./growth/families.ts";
import type { GrowthScenario } from "./growth/parts.ts";
import { growthCharts, printGrowth } from "./growth/report.ts";
import { machineName, thousands } from "./machine.ts";
import { writeCharts } from "./report.ts";
import type { Results } from "./results.ts";
import { runScenario, type Target, targetOf } from "./run_step.ts";
import { OWN, storeKind } from "./stores/registry.ts";

const QUICK_SHARE = 0.01;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    family: { type: "string", multiple: true },
    runtime: { type: "string", multiple: true },
    entries: { type: "string", multiple: true },
    strategy: { type: "string", multiple: true },
    rounds: { type: "string", default: "1" },
    directory: { type: "string", default: tmpdir() },
    json: { type: "string" },
    charts: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});

/** The scenarios that are asked for, with those of their sizes that are. */
function wantedScenarios(): GrowthScenario[] {
  const families =
    values.family?.map((name) => oneOf("--family", FAMILIES, name)) ?? FAMILIES;
  const strategies: readonly string[] =
    values.strategy?.map((name) => oneOf("--strategy", STRATEGIES, name)) ??
      STRATEGIES;
  const entries = values.entries?.map((text) => wholeNumber("--entries", text));
  return GROWTH.filter(({ family }) => families.includes(family))
    .filter(({ family, series }) =>
      family !== "entries" || strategies.includes(series)
    ).map((scenario) => ({
      ...scenario,
      sizes: scenario.family === "entries" && entries || scenario.sizes,
    }));
}

async function findTargets(versions: string[]): Promise<Target[]> {
  const targets: Target[] = [];
  const share = String(values.quick ? QUICK_SHARE : 1);
  for (const name of runtimesOf(values.runtime)) {
    const runtime = await findRuntime(name);
    versions.push(`${name} ${runtime.version}`);
    const target = targetOf(storeKind(OWN), runtime);
    const args = [...target.arguments, "--share", share];
    targets.push({ ...target, arguments: args });
  }
  return targets;
}

/** One point of a curve; one that fails is said, and left out. */
async function runPoint(
  target: Target,
  scenario: GrowthScenario,
  size: number,
  round: number,
  results: Results,
): Promise<string | undefined> {
  const { family, series, grows } = scenario;
  const { runtime } = target;
  const what = `${family}, ${series}, ${thousands(size)} ${grows}, ${runtime}`;
  const start = performance.now();
  try {
    const { measurements } = await runScenario(
      target,
      scenario,
      size,
      values.directory,
      [],
    );
    // A curve goes where in other runs a store goes.
    const place = { round, store: series, runtime, size, scenario: family };
    results.rows.push(...measurements.map((m) => ({ ...place, ...m })));
    const seconds = (performance.now() - start) / 1000;
    console.error(`${what}: took ${seconds.toFixed(1)} s`);
    return undefined;
  } catch (error) {
    console.error(`${what}: ${error}`);
    return `${what}: ${error}`;
  }
}

const scenarios = wantedScenarios();
const versions: string[] = [];
const targets = await findTargets(versions);
const machine = machineName();
const rounds = wholeNumber("--rounds", values.rounds);
const results: Results = { machine, versions, rounds, rows: [], facts: [] };
const complaints: string[] = [];
for (let round = 1; round <= rounds; round++) {
  for (const scenario of scenarios) {
    for (const size of scenario.sizes) {
      for (const target of targets) {
        const failure = await runPoint(target, scenario, size, round, results);
        if (failure !== undefined) complaints.push(`FAILED ${failure}`);
      }
    }
  }
}
if (values.json !== undefined) {
  writeFileSync(values.json, JSON.stringify(results, null, 2) + "\n");
}
if (values.charts !== undefined) {
  writeCharts(growthCharts(results), values.charts);
}
const verdicts = verdictsOf(results.rows);
printGrowth(results, verdicts);
const isCold = scenarios.some(({ family }) => family === "cold");
if (isCold && !results.rows.some(({ name }) => name.endsWith(", cold"))) {
  console.log("cold: skipped, the page cache cannot be emptied here\n");
}
if (values.quick) {
  console.log("A hundredth of everything: the bounds say little, none fails.");
} else {
  complaints.push(
    ...verdicts.filter((verdict) => !isKept(verdict)).map((verdict) =>
      `MISSED ${verdict.what}, ${verdict.series}, ${verdict.runtime}`
    ),
  );
}
for (const complaint of complaints) console.log(complaint);
if (complaints.length > 0) Deno.exit(1);
