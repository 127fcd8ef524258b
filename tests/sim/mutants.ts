/**
 * Tests of the tester: `deno task mutants`.
 *
 * Takes marked statements away from the engine, one at a time, in a copy of
 * the project, and lets the simulator run there until it fails. A mutant that
 * it does not find is a survivor: an oracle, a fault or a workload is missing,
 * or the statement is not needed.
 *
 * ```
 * --only NAME,NAME   these alone; a name may end in *
 * --seeds N          the most seeds of each kind of run; 1000
 * --seconds S        the most seconds for a mutant; 60
 * --jobs N           how many at a time; 2
 * ```
 *
 * First the engine as it is must pass as many seeds. The last line is
 * `N found, N survived`.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MUTANTS } from "./mutants_list.ts";
import { engineFiles, type Mark, marksIn, mutate } from "./mutants_marks.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What a copy needs. */
const COPIED = ["deno.json", "package.json", "mod.ts", "lib", "tests"];
const HUNT = "tests/sim/mutants_hunt.ts";
/** Seconds after which an attempt has hung. */
const HANG_SECONDS = 60;

const { values: given } = parseArgs({
  args: process.argv.slice(2),
  options: {
    only: { type: "string", default: "*" },
    seeds: { type: "string", default: "1000" },
    seconds: { type: "string", default: "60" },
    jobs: { type: "string", default: "2" },
  },
});

/** What came of a mutant. */
interface Verdict {
  /** The attempt that failed: mode, seed, operations. */
  readonly attempt: string | undefined;
  readonly message: string;
  readonly seconds: number;
}

function isWanted(name: string): boolean {
  return given.only.split(",").some((pattern) =>
    pattern.endsWith("*")
      ? name.startsWith(pattern.slice(0, -1))
      : name === pattern
  );
}

/** The mark of each mutant. */
function marksByName(): Map<string, Mark> {
  const marks = engineFiles(ROOT).flatMap(marksIn);
  return new Map(
    marks.flatMap((mark) => mark.name === undefined ? [] : [[mark.name, mark]]),
  );
}

/** A copy of the project, with one file changed. */
function copyWith(path?: string, text?: string): string {
  const directory = mkdtempSync(join(tmpdir(), "varve-mutant-"));
  for (const name of COPIED) {
    cpSync(join(ROOT, name), join(directory, name), {
      recursive: true,
      filter: (from) => !from.includes("fixtures"),
    });
  }
  if (path !== undefined && text !== undefined) {
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

/** What runs: a mutant may hang, and must not outlive this. */
const running: Set<ChildProcess> = new Set();

function endAll(): never {
  for (const child of running) child.kill("SIGKILL");
  process.exit(1);
}

/** Lets the simulator run in a copy until it fails. */
async function hunt(directory: string): Promise<Verdict> {
  const start = Date.now();
  const child = spawn(
    process.execPath,
    ["run", "--no-check", "-A", HUNT, given.seeds, given.seconds],
    { cwd: directory, stdio: ["ignore", "pipe", "pipe"] },
  );
  running.add(child);
  let complaint = "";
  child.stderr.on("data", (bytes) => complaint += bytes);
  const ended = new Promise((resolve) => child.on("close", resolve));
  let [isReady, isDone, hasHung] = [false, false, false];
  let attempt: string | undefined;
  let message: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const [word] = line.split(" ", 1);
    const rest = line.slice(word.length + 1);
    isReady ||= word === "ready";
    isDone ||= word === "done";
    if (word === "found") message = rest;
    if (word !== "try") continue;
    attempt = rest;
    clearTimeout(timer);
    timer = setTimeout(() => {
      hasHung = true;
      child.kill("SIGKILL");
    }, HANG_SECONDS * 1000);
  }
  await ended;
  running.delete(child);
  clearTimeout(timer);
  if (!isReady) throw new Error(`a mutant does not run: ${complaint}`);
  if (hasHung) message = "it hangs";
  else if (!isDone) message ??= `the process ends: ${complaint.trim()}`;
  const seconds = (Date.now() - start) / 1000;
  return message === undefined
    ? { attempt: undefined, message: "SURVIVED", seconds }
    : { attempt, message, seconds };
}

async function tryMutant(name: string, mark: Mark): Promise<Verdict> {
  const file = engineFiles(ROOT).find(({ path }) => path === mark.path);
  const change = MUTANTS.get(name)?.change;
  if (file === undefined || change === undefined) {
    throw new Error(`${mark.path} marks ${name}, which is not in the list`);
  }
  const directory = copyWith(mark.path, mutate(file.text, mark, change));
  try {
    return await hunt(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The attempt as the command that repeats it takes it. */
function seedOf({ attempt, seconds }: Verdict): string {
  if (attempt === undefined) return "SURVIVED";
  const [mode, seed, operations] = attempt.split(" ");
  return `seed ${seed}, ${mode} of ${operations}, ${seconds.toFixed(0)} s`;
}

async function checkEngine(): Promise<void> {
  const directory = copyWith();
  try {
    const verdict = await hunt(directory);
    if (verdict.attempt === undefined) return;
    console.error(`the engine as it is: ${seedOf(verdict)}`);
    console.error(verdict.message.slice(0, 500));
    process.exit(2);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function main(): Promise<void> {
  process.on("SIGTERM", endAll);
  process.on("SIGINT", endAll);
  const marks = marksByName();
  const names = [...MUTANTS.keys()].filter(isWanted);
  if (given.only === "*") await checkEngine();
  const rows = new Map<string, string>();
  let [found, survived] = [0, 0];
  const waiting = names.values();
  const work = async () => {
    for (const name of waiting) {
      const mark = marks.get(name);
      if (mark === undefined) throw new Error(`no mark names ${name}`);
      const verdict = await tryMutant(name, mark);
      if (verdict.attempt === undefined) survived++;
      else found++;
      console.log(
        `${name}: ${seedOf(verdict)}: ${verdict.message.slice(0, 160)}`,
      );
      rows.set(name, `| ${name} | ${mark.reason} | ${seedOf(verdict)} |`);
    }
  };
  const jobs = Math.min(2, Math.max(1, Number(given.jobs)));
  await Promise.all(Array.from({ length: jobs }, work));
  console.log("\n| mutant | what the line is for | found by |");
  console.log("| --- | --- | --- |");
  for (const name of names) console.log(rows.get(name));
  console.log(`${found} found, ${survived} survived`);
  process.exit(survived === 0 && found > 0 ? 0 : 1);
}

await main();
