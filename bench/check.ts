/**
 * Fails if something became more than 20 % slower, and names it:
 * `deno task bench:check`, about five minutes.
 *
 * ```text
 *   --update         stores what was found in reference.json, compares nothing
 *   --runtime NAME   deno, bun or node; may be repeated (default: deno and bun)
 *   --rounds N       interleaved rounds, of which medians count (default 5)
 *   --size N         entries (default 100,000; stored ratios are of that)
 *   --directory DIR  where the stores are made (default: the temporary directory)
 * ```
 *
 * In each round each runtime does each scenario, and reference work right before
 * and after it; what is compared are ratios of the two. Rows that seem slower are
 * measured again for some rounds before they are named.
 *
 * @module
 */
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findRuntime } from "../tests/tools/runtimes.ts";
import { runtimesOf } from "./arguments.ts";
import {
  complaintsOf,
  describeComplaint,
  Gathered,
  LOSS_MAX,
  type Stored,
} from "./guard.ts";
import type { Scenario } from "./measure.ts";
import type { ReferenceKind } from "./reference_child.ts";
import { runCommand, runScenario, type Target, targetOf } from "./run_step.ts";
import { SCENARIOS } from "./scenarios.ts";
import { OWN, storeKind } from "./stores/registry.ts";
import { printTable } from "./table.ts";

const FILE = fileURLToPath(new URL("reference.json", import.meta.url));
const CHILD = fileURLToPath(new URL("reference_child.ts", import.meta.url));
/** What is measured: one of each kind that costs little time. */
const CHECKED = [
  "fillseq",
  "fillrandom",
  "fillbatch",
  "overwrite",
  "reads",
  "deleterandom",
  "fillsync",
  "fillsync 64 writers",
  "ycsb",
];
/** What a row may lose before it is measured again. */
const SUSPECT_LOSS = LOSS_MAX * 0.75;
const ROUNDS_AGAIN = 3;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    update: { type: "boolean", default: false },
    runtime: { type: "string", multiple: true },
    rounds: { type: "string", default: "5" },
    size: { type: "string", default: "100000" },
    directory: { type: "string", default: tmpdir() },
  },
});

const size = Number(values.size);

/** Does reference work in a process of its own; returns its rate. */
async function runReference(
  target: Target,
  kind: ReferenceKind,
): Promise<number> {
  const directory = mkdtempSync(join(values.directory, "varve-reference-"));
  try {
    const { output, line } = await runCommand(target, [
      CHILD,
      kind,
      directory,
    ]);
    if (!output.success) {
      throw new Error(`the reference failed on ${target.runtime}`);
    }
    return Number(line);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** One scenario, in rates of the reference work done right before and after it. */
async function runBesideReference(
  target: Target,
  scenario: Scenario,
  gathered: Gathered,
): Promise<void> {
  const kind = scenario.isSynced ? "sync" : "work";
  const before = await runReference(target, kind);
  const { measurements } = await runScenario(
    target,
    scenario,
    size,
    values.directory,
    [],
  );
  const reference = (before + await runReference(target, kind)) / 2;
  for (const { name, figure } of measurements) {
    gathered.add(target.runtime, name, figure / reference);
  }
}

async function runRound(
  targets: readonly Target[],
  names: readonly string[],
  gathered: Gathered,
): Promise<void> {
  for (const scenario of SCENARIOS) {
    if (!names.includes(scenario.name)) continue;
    for (const target of targets) {
      await runBesideReference(target, scenario, gathered);
    }
  }
}

function readStored(): Stored {
  if (!existsSync(FILE)) {
    throw new Error(`${FILE} is missing: bench:check --update makes it`);
  }
  const found: Stored = JSON.parse(readFileSync(FILE, "utf8"));
  if (found.size !== size) {
    throw new Error(`stored ratios are of ${found.size} entries, not ${size}`);
  }
  return found;
}

// Read first: what is missing is not to be said after five minutes.
const stored = values.update ? undefined : readStored();
const targets: Target[] = [];
for (const name of runtimesOf(values.runtime)) {
  targets.push(targetOf(storeKind(OWN), await findRuntime(name)));
}
const gathered = new Gathered();
for (let round = 1; round <= Number(values.rounds); round++) {
  console.error(`round ${round}`);
  await runRound(targets, CHECKED, gathered);
}

const machine = `${cpus().length} x ${cpus()[0]?.model ?? "?"}`;
if (stored === undefined) {
  const made: Stored = { machine, size, ratios: gathered.medians() };
  writeFileSync(FILE, JSON.stringify(made, null, 2) + "\n");
  console.log("stored");
  Deno.exit(0);
}

const suspects = complaintsOf(stored.ratios, gathered.medians(), SUSPECT_LOSS);
if (suspects.length > 0) {
  const again = SCENARIOS.filter(({ name, measures }) =>
    CHECKED.includes(name) && suspects.some(({ row }) => measures.includes(row))
  ).map(({ name }) => name);
  for (let round = 1; round <= ROUNDS_AGAIN && again.length > 0; round++) {
    console.error(`again ${round}: ${again.join(", ")}`);
    await runRound(targets, again, gathered);
  }
}

const found = gathered.medians();
for (const [runtime, rows] of Object.entries(found)) {
  printTable(
    [runtime, "stored", "found", "change"],
    Object.entries(rows).map(([row, ratio]) => {
      const before = stored.ratios[runtime]?.[row] ?? NaN;
      const change = (ratio / before - 1) * 100;
      const text = `${change < 0 ? "" : "+"}${change.toFixed(0)} %`;
      return [row, before.toPrecision(4), ratio.toPrecision(4), text];
    }),
    1,
  );
}
if (stored.machine !== machine) {
  console.log(`stored on ${stored.machine}, found on ${machine}`);
}
const complaints = complaintsOf(stored.ratios, found);
for (const complaint of complaints) console.log(describeComplaint(complaint));
console.log(
  complaints.length === 0
    ? "nothing became slower"
    : `${complaints.length} rows complained of`,
);
Deno.exit(complaints.length === 0 ? 0 : 1);
