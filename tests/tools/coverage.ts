/**
 * Says how much of the code that keeps data safe the tests reach.
 *
 *     deno run -A tests/tools/coverage.ts [part of a path ...] [--data=DIR]
 *
 * Runs tests on Deno under its coverage tool, with flushes and compactions on
 * the thread of the test unless a test asks for a worker: what a worker does
 * is the same code, and is counted there. The figures are those of the tool's
 * own report. Parts of paths keep only the test files that contain one of
 * them; with `--data`, what was gathered in a directory is kept there, and is
 * added to.
 *
 * The exit code is 0 only if the tests passed, every file is in the report,
 * and {@linkcode LEAST_PERCENT} of a hundred branches were reached in each
 * folder; and as many functions, for the tool does not count the branches of
 * one that was never called.
 *
 * @module
 */
import {
  addCoverage,
  type Coverage,
  type FileCoverage,
  percent,
  readLcov,
} from "./lcov.ts";
import { listFiles, readProjectFile, ROOT } from "./project.ts";

/** What share of the branches and functions of each folder must be reached. */
const LEAST_PERCENT = 95;

/** What is looked at: folders, and the files of recovery, which count as one. */
const FOLDERS: ReadonlyMap<string, readonly string[]> = new Map([
  ["lib/wal", ["lib/wal/"]],
  ["lib/version", ["lib/version/"]],
  ["lib/compaction", ["lib/compaction/"]],
  ["lib/write", ["lib/write/"]],
  ["lib/open.ts, lib/replay.ts", ["lib/open.ts", "lib/replay.ts"]],
]);

/** Tests that reach them, but for those that take long. */
const TESTS = [
  "tests/unit/wal/",
  "tests/unit/version/",
  "tests/unit/compaction/",
  "tests/unit/write/",
  "tests/unit/open.test.ts",
  "tests/unit/replay.test.ts",
  "tests/engine/backpressure.test.ts",
  "tests/engine/contract_close.test.ts",
  "tests/engine/contract_maintenance.test.ts",
  "tests/engine/contract_writes.test.ts",
  "tests/engine/pitfalls_faults.test.ts",
  "tests/engine/share.test.ts",
  "tests/engine/regressions.test.ts",
  "tests/crash/faults.test.ts",
];

interface Plan {
  readonly filters: readonly string[];
  /** Where to gather; a temporary directory if absent. */
  readonly data: string | undefined;
}

function readArguments(args: readonly string[]): Plan {
  let data: string | undefined;
  const filters: string[] = [];
  for (const arg of args) {
    const [, value] = /^--data=(.+)$/.exec(arg) ?? [];
    if (value !== undefined) data = value;
    else if (arg.startsWith("-")) throw new Error(`Unknown option ${arg}`);
    else filters.push(arg);
  }
  return { filters, data };
}

function listTests({ filters }: Plan): string[] {
  const files = listFiles("tests").filter((path) =>
    path.endsWith(".test.ts") &&
    TESTS.some((start) => path.startsWith(start)) &&
    (filters.length === 0 || filters.some((part) => path.includes(part)))
  );
  if (files.length === 0) throw new Error("no test file has such a path");
  return files;
}

/** Runs tests under the tool; returns whether they passed. */
function runTests(files: readonly string[], data: string): boolean {
  const { success } = new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "-A",
      "--no-check",
      "--quiet",
      "--reporter=dot",
      "--preload=tests/tools/deno_uncaught.ts",
      `--coverage=${data}`,
      "--coverage-raw-data-only",
      ...files,
    ],
    cwd: ROOT,
    env: { VARVE_TEST_BACKGROUND: "inline", VARVE_TEST_STRATEGY: "" },
    stdout: "inherit",
    stderr: "inherit",
  }).outputSync();
  return success;
}

/** The tool's report on `lib/`, its paths as those of the project. */
function report(data: string): FileCoverage[] {
  const { code, stdout, stderr } = new Deno.Command(Deno.execPath(), {
    args: ["coverage", data, "--lcov", "--include=/lib/"],
    cwd: ROOT,
  }).outputSync();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(decoder.decode(stderr));
  return readLcov(decoder.decode(stdout)).map((file) => ({
    ...file,
    path: file.path.startsWith(ROOT)
      ? file.path.slice(ROOT.length).replaceAll("\\", "/")
      : file.path,
  }));
}

/** Files of a folder that have code, but no figures: nothing ever loaded them. */
function missingOf(
  places: readonly string[],
  files: readonly FileCoverage[],
): string[] {
  return listFiles("lib").filter((path) =>
    places.some((place) => path.startsWith(place)) &&
    /^(?:export )?(?:async )?(?:function|class|const)\b/m.test(
      readProjectFile(path),
    ) && !files.some((file) => file.path === path)
  );
}

function rowOf(name: string, { branches, functions, lines }: Coverage): string {
  const cells = [branches, functions, lines].map((share) =>
    `${percent(share).toFixed(1).padStart(6)} % ` +
    `${`${share.hit}/${share.found}`.padStart(9)}`
  );
  return `${name.padEnd(34)}${cells.join("  ")}`;
}

/** Prints one folder; returns what is wrong with it. */
function judge(
  name: string,
  places: readonly string[],
  all: readonly FileCoverage[],
): string[] {
  const files = all.filter(({ path }) =>
    places.some((place) => path.startsWith(place))
  );
  const sum = addCoverage(files);
  console.log(rowOf(name, sum));
  for (const file of files) console.log(rowOf(`  ${file.path}`, file));
  const wrong = missingOf(places, all).map((path) =>
    `${path} is not in the report`
  );
  for (const what of ["branches", "functions"] as const) {
    const reached = percent(sum[what]);
    if (reached >= LEAST_PERCENT) continue;
    wrong.push(
      `${name}: ${reached.toFixed(1)} % of the ${what}, ` +
        `less than ${LEAST_PERCENT} %`,
    );
  }
  return wrong;
}

function main(): number {
  const plan = readArguments(Deno.args);
  const tests = listTests(plan);
  const data = plan.data ?? Deno.makeTempDirSync({ prefix: "varve-coverage-" });
  const wrong: string[] = [];
  try {
    console.log(`${tests.length} test files on Deno ${Deno.version.deno}`);
    if (!runTests(tests, data)) wrong.push("tests failed");
    const files = report(data);
    console.log(
      `${"".padEnd(34)}${
        ["branches", "functions", "lines"].map((head) => head.padStart(18))
          .join("  ")
      }`,
    );
    for (const [name, places] of FOLDERS) {
      wrong.push(...judge(name, places, files));
    }
    console.log("\nNot reached:");
    for (const { path, unreached } of files) {
      const isOurs = [...FOLDERS.values()].flat().some((place) =>
        path.startsWith(place)
      );
      if (!isOurs) continue;
      for (const { line, what } of unreached) {
        console.log(`  ${path}:${line}  ${what}`);
      }
    }
  } finally {
    if (plan.data === undefined) Deno.removeSync(data, { recursive: true });
  }
  for (const fault of wrong) console.log(`FAIL ${fault}`);
  return wrong.length === 0 ? 0 : 1;
}

Deno.exit(main());
