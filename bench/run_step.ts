/**
 * Starts the processes of a scenario: one for each step, on a fresh directory.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Runtime } from "../tests/tools/runtimes.ts";
import { thousands } from "./machine.ts";
import type { Scenario } from "./measure.ts";
import type { StepResult } from "./results.ts";
import type { StoreKind } from "./stores/registry.ts";

const CHILD = fileURLToPath(new URL("child.ts", import.meta.url));

/** Something that runs steps of scenarios. */
export interface Target {
  readonly store: string;
  readonly runtime: string;
  /** The command and its first arguments. */
  readonly command: readonly string[];
  /** What stands before the arguments of a scenario. */
  readonly arguments: readonly string[];
  /** Whether it has this scenario. */
  readonly takes: (scenario: Scenario) => boolean;
}

/** A store on a runtime. */
export function targetOf(kind: StoreKind, runtime: Runtime): Target {
  const flags = runtime.name === "deno"
    ? ["run", "-A", "--no-check", "--quiet", ...kind.denoArguments ?? []]
    : [];
  return {
    store: kind.name,
    runtime: runtime.name,
    command: [runtime.path, ...flags],
    arguments: [CHILD, "--store", kind.name],
    takes: (scenario) =>
      (!kind.isForReads || scenario.hasReads === true) &&
      (!kind.isNeverSynced || !scenario.isSynced) &&
      (!kind.hasSmallValues || !scenario.hasLargeValues),
  };
}

/** Runs a target's command; gives how it ended and the last line that it printed. */
export async function runCommand(
  { command: [program = "", ...flags] }: Target,
  args: readonly string[],
): Promise<{ output: Deno.CommandStatus; line: string }> {
  const output = await new Deno.Command(program, {
    args: [...flags, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).output();
  const lines = new TextDecoder().decode(output.stdout).trim().split("\n");
  return { output, line: lines.at(-1) ?? "" };
}

/** Runs one step in a process of its own. */
async function runStep(
  target: Target,
  scenario: Scenario,
  step: number,
  size: number,
  directory: string,
  only: readonly string[],
): Promise<StepResult> {
  const { output, line } = await runCommand(target, [
    ...target.arguments,
    ...["--scenario", scenario.name, "--step", String(step)],
    ...["--size", String(size), "--directory", directory],
    ...only.flatMap((name) => ["--only", name]),
  ]);
  if (scenario.isKilled && step === 0 && output.signal === "SIGKILL") {
    return { measurements: [] };
  }
  if (!output.success) {
    throw new Error(
      `${scenario.name}, step ${step}, ${thousands(size)} entries, ` +
        `${target.store} on ${target.runtime} failed ` +
        `(${output.signal ?? output.code})`,
    );
  }
  return JSON.parse(line) as StepResult;
}

/** Runs a scenario on a fresh directory, which is removed afterwards; gives what all steps measured, and the facts of the last. */
export async function runScenario(
  target: Target,
  scenario: Scenario,
  size: number,
  base: string,
  only: readonly string[],
): Promise<StepResult> {
  const parent = mkdtempSync(join(base, "varve-bench-"));
  try {
    const directory = join(parent, "store");
    const results: StepResult[] = [];
    for (let step = 0; step < scenario.steps.length; step++) {
      results.push(
        await runStep(target, scenario, step, size, directory, only),
      );
    }
    return {
      measurements: results.flatMap(({ measurements }) => measurements),
      facts: results.at(-1)?.facts,
    };
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}
