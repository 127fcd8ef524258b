/**
 * Runs every test file on every runtime and adds up what each reports.
 *
 *     deno run -A tests/run.ts [deno] [bun] [node] [part of a path ...]
 *         [--combinations=one|two|all] [--dir=tests] [--jobs=2]
 *         [--file-limit=900]
 *
 * Without a runtime's name all three run; other words keep only the files whose
 * path contains one of them. Each file has a process of its own, so that a
 * crash, a hang or a leak is that file's, on all runtimes alike. As many run at
 * a time as the machine has cores, and beside them two of those that do little
 * but wait for the disk, unless `--jobs` says how many; those that take longest
 * are begun first, so that no core is idle at the end.
 *
 * Every file runs once with the engine's own defaults. With two combinations,
 * the tests of the engine run once more with the opposite of the defaults: the
 * other place where compactions run, and the other strategy; those of crashes,
 * which take longest, only on the first runtime. With all, they run with each,
 * everywhere. See `tests/open.ts`.
 *
 * A file with the line `Combination: its own.` in its header leaves nothing
 * open: each of its openings sets both, or does not go through `tests/open.ts`.
 * Another combination would be the same run again, so there is none. This is
 * checked whenever it runs: what stands in for options left out is refused.
 *
 * The last line is `N passed, N failed`, and the exit code is 0 only if nothing
 * failed and every runtime passed a test.
 *
 * @module
 */

import { type ResolvedCompaction, resolveOptions } from "../lib/options.ts";
import { makeTempDir, removeDir } from "./temp.ts";
import {
  addCounts,
  countBun,
  countDeno,
  countNode,
  type Counts,
  judge,
  noCounts,
  UNCAUGHT,
} from "./tools/counts.ts";
import {
  findRuntime,
  type Runtime,
  type RuntimeName,
  RUNTIMES,
} from "./tools/runtimes.ts";

const ROOT = new URL("..", import.meta.url);
const TEST_TIMEOUT_MS = 300_000;
const FILE_LIMIT_SECONDS = 900;
const JOBS_MAX = 4;
/** How long the output of a process that has ended may stay open. */
const OUTPUT_GRACE_MS = 2_000;
/** Files whose tests run in several combinations of options. */
const COMBINED = /^tests\/(?:engine|crash)\//;
/** Those of them that take longest. */
const LONG = /^tests\/crash\//;
/** Files that spend most of their time on waiting for syncs. */
const WAITS = /^tests\/engine\/seeds_/;
/** How many of these run beside the others. */
const WAITING_JOBS = 2;
/** Files that are begun first. Their order changes how long everything takes, and nothing else. */
const BEGUN_FIRST =
  /^tests\/(?:crash\/|sim\/seeds|engine\/(?:worker\.|model|pitfalls_crash|share|backpressure))/;
/** What the header of a file says that leaves no combination open. */
const HAS_ITS_OWN = /^ \* Combination: its own\.$/m;

/** Where compactions run, and by which strategy. */
type Combination = Pick<ResolvedCompaction, "background" | "strategy">;

const COMBINATIONS: readonly Combination[] = [
  { background: "worker", strategy: "size-tiered" },
  { background: "inline", strategy: "leveled" },
  { background: "worker", strategy: "leveled" },
  { background: "inline", strategy: "size-tiered" },
];

/** Options that the engine refuses: whoever leaves them out fails. */
const REFUSED = { background: "left out", strategy: "left out" };

interface Plan {
  readonly runtimes: RuntimeName[];
  readonly filters: string[];
  /** Those besides the engine's defaults. */
  readonly combinations: readonly Combination[];
  /** Whether long tests run in those on every runtime. */
  readonly isExhaustive: boolean;
  readonly dir: string;
  readonly jobs: number;
  /** How many files that wait run beside them. */
  readonly waitingJobs: number;
  readonly fileLimitMs: number;
}

interface TestFile {
  readonly path: string;
  /** Whether it leaves no combination open. */
  readonly hasItsOwn: boolean;
}

interface Job {
  readonly runtime: Runtime;
  readonly file: TestFile;
  /** Absent for the engine's defaults. */
  readonly combination?: Combination;
}

interface Outcome {
  readonly counts: Counts;
  readonly output: string;
}

function readArguments(args: string[]): Plan {
  const named = new Map<string, string>();
  const words: string[] = [];
  for (const arg of args) {
    const option = /^--(combinations|dir|jobs|file-limit)=(.+)$/.exec(arg);
    if (option?.[1] !== undefined && option[2] !== undefined) {
      named.set(option[1], option[2]);
    } else if (arg.startsWith("-")) {
      throw new Error(`Unknown option ${arg}`);
    } else {
      words.push(arg);
    }
  }
  const runtimes = RUNTIMES.filter((name) => words.includes(name));
  const extent = named.get("combinations") ?? "one";
  const cores = navigator.hardwareConcurrency;
  return {
    runtimes: runtimes.length > 0 ? runtimes : [...RUNTIMES],
    filters: words.filter((word) => !RUNTIMES.some((name) => name === word)),
    combinations: combinationsFor(extent),
    isExhaustive: extent === "all",
    dir: named.get("dir") ?? "tests",
    jobs: Number(named.get("jobs") ?? Math.min(cores, JOBS_MAX)),
    waitingJobs: named.has("jobs") ? 0 : WAITING_JOBS,
    fileLimitMs: Number(named.get("file-limit") ?? FILE_LIMIT_SECONDS) * 1000,
  };
}

/** The combinations in which tests run besides that of the defaults. */
function combinationsFor(extent: string): readonly Combination[] {
  const { background, strategy } = resolveOptions({}).options.compaction;
  switch (extent) {
    case "one":
      return [];
    case "two":
      return COMBINATIONS.filter((combination) =>
        combination.background !== background &&
        combination.strategy !== strategy
      );
    case "all":
      return COMBINATIONS.filter((combination) =>
        combination.background !== background ||
        combination.strategy !== strategy
      );
  }
  throw new Error(`--combinations=${extent}: one, two or all`);
}

/** Every file with the engine's defaults, then some in other combinations. */
function listJobs(
  runtimes: Runtime[],
  files: TestFile[],
  plan: Plan,
): Job[] {
  const combined = files.filter(({ path, hasItsOwn }) =>
    COMBINED.test(path) && !hasItsOwn
  );
  const short = combined.filter(({ path }) => !LONG.test(path));
  const jobs: Job[] = runtimes.flatMap((runtime, i) => [
    ...files.map((file) => ({ runtime, file })),
    ...plan.combinations.flatMap((combination) =>
      (i === 0 || plan.isExhaustive ? combined : short)
        .map((file) => ({ runtime, file, combination }))
    ),
  ]);
  const isFirst = ({ file }: Job) => BEGUN_FIRST.test(file.path);
  return [...jobs.filter(isFirst), ...jobs.filter((job) => !isFirst(job))];
}

/** What tells the tests of a job in which combination they run. */
function environmentOf({ file, combination }: Job): Record<string, string> {
  const { background, strategy } = file.hasItsOwn ? REFUSED : combination ??
    { background: "", strategy: "" };
  return { VARVE_TEST_BACKGROUND: background, VARVE_TEST_STRATEGY: strategy };
}

/** All test files below `dir`, in order of their paths. */
function listTestFiles(dir: string, filters: string[]): TestFile[] {
  const files: TestFile[] = [];
  for (const entry of Deno.readDirSync(new URL(`${dir}/`, ROOT))) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) files.push(...listTestFiles(path, filters));
    else if (
      entry.name.endsWith(".test.ts") &&
      (filters.length === 0 || filters.some((part) => path.includes(part)))
    ) {
      const text = Deno.readTextFileSync(new URL(path, ROOT));
      files.push({ path, hasItsOwn: HAS_ITS_OWN.test(text) });
    }
  }
  return files.sort((a, b) => a.path < b.path ? -1 : 1);
}

/** The command line that runs one file, with its report going to `report`. */
function commandLine(job: Job, report: string): string[] {
  // Without the dot Bun takes a relative path for a part of a name.
  const { path } = job.file;
  const file = path.startsWith("/") ? path : `./${path}`;
  switch (job.runtime.name) {
    case "deno":
      // Types are checked once and for all by `deno task check`.
      return [
        "test",
        "-A",
        "--no-check",
        "--preload=tests/tools/deno_uncaught.ts",
        `--junit-path=${report}`,
        file,
      ];
    case "bun":
      return [
        "test",
        "--no-install",
        `--timeout=${TEST_TIMEOUT_MS}`,
        file,
      ];
    case "node":
      // Without `--test`, because that counts a file without tests as a pass.
      return [
        `--test-timeout=${TEST_TIMEOUT_MS}`,
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=tap",
        `--test-reporter-destination=${report}`,
        file,
      ];
  }
}

function readCounts(
  job: Job,
  report: string,
  output: string,
): Counts | undefined {
  if (job.runtime.name === "bun") return countBun(output);
  let text: string;
  try {
    text = Deno.readTextFileSync(report);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return job.runtime.name === "deno" ? countDeno(text) : countNode(text);
}

/** Collects a stream; what has come by a time is there even if it stays open. */
function collect(stream: ReadableStream<Uint8Array>): {
  readonly done: Promise<void>;
  text(): string;
} {
  let text = "";
  const append = async () => {
    for await (const part of stream.pipeThrough(new TextDecoderStream())) {
      text += part;
    }
  };
  return { done: append(), text: () => text };
}

function delay(ms: number): { readonly done: Promise<void>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  return { done: promise, cancel: () => clearTimeout(timer) };
}

async function runFile(
  job: Job,
  plan: Plan,
  env: Record<string, string>,
): Promise<Outcome> {
  const dir = Deno.makeTempDirSync({ prefix: "varve-run-" });
  const report = `${dir}/report`;
  try {
    const child = new Deno.Command(job.runtime.path, {
      args: commandLine(job, report),
      cwd: ROOT,
      env: { ...env, ...environmentOf(job) },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    let killed = false;
    const limit = setTimeout(() => {
      killed = true;
      child.kill("SIGKILL");
    }, plan.fileLimitMs);
    const status = await child.status;
    clearTimeout(limit);
    // A process that the test left behind may hold the pipes open.
    const grace = delay(OUTPUT_GRACE_MS);
    await Promise.race([Promise.all([stdout.done, stderr.done]), grace.done]);
    grace.cancel();
    let output = stdout.text() + stderr.text();
    const read = killed ? undefined : readCounts(job, report, output);
    if (killed) output += `\nKilled after ${plan.fileLimitMs / 1000} s\n`;
    else if (read === undefined) output += "\nEnded without totals\n";
    const clean = status.success && !output.includes(UNCAUGHT);
    return { counts: judge(read, clean), output };
  } finally {
    Deno.removeSync(dir, { recursive: true });
  }
}

function sentence(counts: Counts): string {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  return `${counts.passed} passed, ${counts.failed} failed${skipped}`;
}

/** A failed file's output without the lines about tests that passed. */
function withoutPasses(output: string): string {
  const passed = /^\s*(?:\(pass\) .*|✔ .*|.* \.\.\. ok \(.*\))$/;
  return output.split("\n").filter((line) => !passed.test(line)).join("\n")
    .trimEnd();
}

function seconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** Runs all jobs, as many at a time as the plan says; gives the sums per runtime. */
async function runJobs(
  jobs: Job[],
  plan: Plan,
  env: Record<string, string>,
): Promise<Map<RuntimeName, Counts>> {
  const sums = new Map<RuntimeName, Counts>();
  const waits = ({ file }: Job) => WAITS.test(file.path);
  const waiting = jobs.filter(waits).values();
  const others = jobs.filter((job) => !waits(job)).values();
  const work = async (queue: Iterable<Job>) => {
    for (const job of queue) {
      const name = job.runtime.name;
      const start = performance.now();
      const { counts, output } = await runFile(job, plan, env);
      const sum = sums.get(name) ?? noCounts();
      addCounts(sum, counts);
      sums.set(name, sum);
      const { combination } = job;
      const how = combination === undefined
        ? ""
        : ` (${combination.background}, ${combination.strategy})`;
      const mark = counts.failed > 0 ? "FAIL" : "ok  ";
      console.log(
        `${mark} ${name.padEnd(4)} ${job.file.path}${how}  ${
          sentence(counts)
        }  ` +
          `${seconds(start)}`,
      );
      if (counts.failed > 0) console.log(`${withoutPasses(output)}\n`);
    }
  };
  const workOnAll = async () => {
    await work(others);
    await work(waiting);
  };
  await Promise.all([
    ...Array.from({ length: plan.waitingJobs }, () => work(waiting)),
    ...Array.from({ length: plan.jobs }, workOnAll),
  ]);
  return sums;
}

async function main(): Promise<number> {
  const plan = readArguments(Deno.args);
  const files = listTestFiles(plan.dir, plan.filters);
  const started = performance.now();
  const runtimes: Runtime[] = [];
  const total = noCounts();
  for (const name of plan.runtimes) {
    try {
      runtimes.push(await findRuntime(name));
    } catch (error) {
      total.failed++;
      console.log(`FAIL ${name}: ${error instanceof Error && error.message}`);
    }
  }
  const cache = makeTempDir("varve-run-cache-");
  // Node keeps there what it has compiled, for all its processes of this run.
  const env: Record<string, string> = {
    NO_COLOR: "1",
    NODE_COMPILE_CACHE: cache,
  };
  // For tests that start a process of another runtime.
  for (const { name, path } of runtimes) {
    env[`VARVE_${name.toUpperCase()}`] = path;
  }
  const versions = runtimes.map(({ name, version }) => `${name} ${version}`);
  for (const { background, strategy } of plan.combinations) {
    console.log(`tests of the engine also with ${background}, ${strategy}`);
  }
  console.log(
    `${files.length} test files on ${versions.join(", ")}, ` +
      `${plan.jobs} at a time`,
  );
  const jobs = listJobs(runtimes, files, plan);
  const sums = await runJobs(jobs, plan, env);
  removeDir(cache);

  console.log("");
  for (const { name, version } of runtimes) {
    const sum = sums.get(name) ?? noCounts();
    if (sum.passed === 0 && sum.failed === 0) {
      sum.failed++;
      console.log(`${name} ran no test`);
    }
    addCounts(total, sum);
    console.log(`${`${name} ${version}`.padEnd(14)} ${sentence(sum)}`);
  }
  console.log(`${"time".padEnd(14)} ${seconds(started)}`);
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

Deno.exit(await main());
