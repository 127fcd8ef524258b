/**
 * Reader threads against a writer and compactions, on every runtime.
 *
 *     deno run -A tests/crash/readers.ts [--seconds=60] [--readers=2]
 *         [--runtimes=deno,bun,node] [--seed=N]
 *
 * `--seconds` is per runtime. Every answer of a reader is checked against what
 * the writer had begun and had acknowledged; see support/reader_model.ts. The
 * last line is `N passed, N failed`, one for each runtime; the exit code is 0
 * only if nothing failed.
 *
 * @module
 */
import { findRuntime, type RuntimeName, RUNTIMES } from "../tools/runtimes.ts";
import type { StressPlan, StressResult } from "./support/reader_stress.ts";

const PROGRAM = new URL("support/reader_stress.ts", import.meta.url).pathname;

interface Arguments extends StressPlan {
  readonly runtimes: readonly RuntimeName[];
}

function readArguments(args: readonly string[]): Arguments {
  const named = new Map<string, string>();
  for (const arg of args) {
    const match = /^--(seconds|readers|runtimes|seed)=(.+)$/.exec(arg);
    if (match === null) throw new Error(`unknown argument ${arg}`);
    named.set(match[1], match[2]);
  }
  const wanted = named.get("runtimes")?.split(",");
  return {
    seconds: Number(named.get("seconds") ?? 60),
    readers: Number(named.get("readers") ?? 2),
    seed: Number(named.get("seed") ?? Date.now() % 1_000_000),
    runtimes: RUNTIMES.filter((name) => wanted?.includes(name) ?? true),
  };
}

async function run(
  name: RuntimeName,
  plan: StressPlan,
): Promise<StressResult> {
  const { path } = await findRuntime(name);
  const args = [PROGRAM, JSON.stringify(plan)];
  if (name === "deno") args.unshift("run", "--quiet", "--no-check", "-A");
  const output = await new Deno.Command(path, {
    args,
    stdin: "null",
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(output.stdout);
  if (!output.success) throw new Error(`ended with ${output.code}: ${text}`);
  return JSON.parse(text) as StressResult;
}

async function main(): Promise<number> {
  const { runtimes, ...plan } = readArguments(Deno.args);
  console.log(`seed ${plan.seed}, ${plan.seconds} s on each runtime`);
  let failed = 0;
  for (const name of runtimes) {
    const { problems, reads, ...counts } = await run(name, plan);
    console.log(name, JSON.stringify({ ...counts, ...reads }));
    for (const problem of problems) console.log(`  ${problem}`);
    const hasRead = Object.values(reads).some((count) => count > 0);
    if (problems.length > 0 || !hasRead) failed++;
  }
  console.log(`${runtimes.length - failed} passed, ${failed} failed`);
  return failed === 0 && runtimes.length > 0 ? 0 : 1;
}

Deno.exit(await main());
