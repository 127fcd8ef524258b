/**
 * Runs sequences of operations under every option set, on every runtime, and
 * compares the answers.
 *
 *     deno task metamorphic [--seeds N] [--from S] [--operations N]
 *         [--runtimes deno,bun,node]
 *
 * Each runtime is a process of this file, which tells the hash of the answers
 * of each seed. A failure is told with the line that runs it again. The last
 * line is `N passed, N failed`, of seeds times option sets times runtimes.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { answersTo } from "./answers.ts";
import { allOptionSets } from "./option_sets.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1" },
    from: { type: "string", default: "1" },
    operations: { type: "string", default: "3000" },
    runtimes: { type: "string", default: "deno,bun,node" },
    /** What the runtime is called: this process is to run, and not to start others. */
    as: { type: "string" },
  },
});
const from = Number(values.from);
const count = Number(values.seeds);
const operations = Number(values.operations);

/** What a process of one runtime tells, a line each. */
interface Told {
  readonly seed: number;
  readonly set: string;
  readonly hash?: string;
  readonly error?: string;
}

async function runHere(): Promise<void> {
  for (let seed = from; seed < from + count; seed++) {
    for (const [set, options] of allOptionSets()) {
      let told: Told;
      try {
        const hash = await answersTo(seed, operations, options);
        told = { seed, set, hash };
      } catch (error) {
        const { message, cause } = error as Error;
        told = { seed, set, error: `${message}\n${cause}` };
      }
      console.log(JSON.stringify(told));
    }
  }
}

/** Where the runtimes are: on PATH, or the one that runs this. */
async function commandOf(runtime: string): Promise<[string, string[]]> {
  const { findRuntime, RUNTIMES } = await import("../tools/runtimes.ts");
  const name = RUNTIMES.find((known) => known === runtime);
  if (name === undefined) throw new Error(`no runtime ${runtime}: ${RUNTIMES}`);
  const { path } = await findRuntime(name);
  return [path, name === "deno" ? ["run", "-A", "--no-check"] : []];
}

/** Runs everything on one runtime; whether its process came to its end. */
async function runOn(
  runtime: string,
  tell: (told: Told) => void,
): Promise<boolean> {
  const [path, flags] = await commandOf(runtime);
  const file = fileURLToPath(import.meta.url);
  const child = spawn(path, [
    ...flags,
    file,
    `--as=${runtime}`,
    `--seeds=${count}`,
    `--from=${from}`,
    `--operations=${operations}`,
  ], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<boolean>((resolve) =>
    child.on("exit", (code) => resolve(code === 0))
  );
  for await (const line of createInterface({ input: child.stdout })) {
    tell(JSON.parse(line));
  }
  return await ended;
}

async function compareAll(): Promise<number> {
  let passed = 0;
  let failed = 0;
  const answers = new Map<number, string>();
  for (const runtime of values.runtimes.split(",")) {
    let told = 0;
    const isWhole = await runOn(runtime, ({ seed, set, hash, error }) => {
      told++;
      const expected = answers.get(seed) ?? hash;
      if (expected !== undefined) answers.set(seed, expected);
      if (hash !== undefined && hash === expected) {
        passed++;
      } else {
        failed++;
        console.log(
          `deno task metamorphic --from ${seed} --operations ${operations} ` +
            `--runtimes ${runtime}\n${set}\n${error ?? "other answers"}`,
        );
      }
    });
    if (!isWhole || told !== count * allOptionSets().size) {
      failed++;
      console.log(`${runtime} ended early`);
    }
    console.log(`${runtime}: ${told} runs`);
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed;
}

if (values.as !== undefined) await runHere();
else process.exit(await compareAll() > 0 ? 1 : 0);
