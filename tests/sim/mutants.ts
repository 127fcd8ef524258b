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
 * --rounds N         the most rounds of attempts; 1000
 * --seconds S        the most seconds for a mutant; 60
 * --jobs N           how many at a time; 2
 * --anew             without what `mutants_found.json` says
 * ```
 *
 * What found a mutant is kept in `mutants_found.json`, and tried first the
 * next time. What only a second thread can see is shown by the test that the
 * list names, which must fail without the line. First the engine as it is must
 * pass. The last line is `N found, N survived`, behind a table for TESTING.md.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Attempt } from "./mutants_hunt.ts";
import { type MutantKind, MUTANTS } from "./mutants_list.ts";
import { engineFiles, type Mark, marksIn, mutate } from "./mutants_marks.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** What a copy needs. */
const COPIED = ["deno.json", "package.json", "mod.ts", "lib", "tests"];
const HUNT = "tests/sim/mutants_hunt.ts";
/** What found the mutants, by their names. */
const FOUND = join(ROOT, "tests/sim/mutants_found.json");
/** Seconds after which an attempt has hung. */
const HANG_SECONDS = 60;

const { values: given } = parseArgs({
  args: process.argv.slice(2),
  options: {
    only: { type: "string", default: "*" },
    rounds: { type: "string", default: "1000" },
    seconds: { type: "string", default: "60" },
    jobs: { type: "string", default: "2" },
    anew: { type: "boolean", default: false },
  },
});

/** What came of a mutant. */
interface Verdict {
  /** The attempt, or the file of tests, that failed; `undefined` if none did. */
  readonly by: Attempt | string | undefined;
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

/** Runs a program in a copy; hands over what it prints, and resolves to its code and its complaints. */
async function runIn(
  directory: string,
  args: readonly string[],
  take: (line: string, child: ChildProcess) => void,
): Promise<{ code: number | null; complaint: string }> {
  const child = spawn(process.execPath, args, {
    cwd: directory,
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  let complaint = "";
  child.stderr.on("data", (bytes) => complaint += bytes);
  const ended = new Promise<number | null>((resolve) =>
    child.on("close", resolve)
  );
  for await (const line of createInterface({ input: child.stdout })) {
    take(line, child);
  }
  const code = await ended;
  running.delete(child);
  return { code, complaint };
}

/** Lets the simulator run in a copy until it fails. */
async function hunt(directory: string, known?: Attempt): Promise<Verdict> {
  const start = Date.now();
  const args = ["run", "--no-check", "-A", HUNT, given.rounds, given.seconds];
  if (known !== undefined) args.push(JSON.stringify(known));
  let [isReady, isDone, hasHung] = [false, false, false];
  let by: Attempt | undefined;
  let message: string | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const { complaint } = await runIn(directory, args, (line, child) => {
    const [word] = line.split(" ", 1);
    const rest = line.slice(word.length + 1);
    isReady ||= word === "ready";
    isDone ||= word === "done";
    if (word === "found") ({ attempt: by, message } = JSON.parse(rest));
    if (word !== "try") return;
    by = JSON.parse(rest);
    clearTimeout(timer);
    timer = setTimeout(() => {
      hasHung = true;
      child.kill("SIGKILL");
    }, HANG_SECONDS * 1000);
  });
  clearTimeout(timer);
  if (!isReady) throw new Error(`a mutant does not run: ${complaint}`);
  if (hasHung) message = "it hangs";
  else if (!isDone) message ??= `the process ends: ${complaint.trim()}`;
  const seconds = (Date.now() - start) / 1000;
  return message === undefined
    ? { by: undefined, message: "SURVIVED", seconds }
    : { by, message, seconds };
}

/** Runs a file of tests in a copy. */
async function test(directory: string, path: string): Promise<Verdict> {
  const start = Date.now();
  const args = ["test", "--no-check", "-A", path];
  let message = "";
  const { code } = await runIn(directory, args, (line) => {
    if (/FAILED|Error/.test(line)) message ||= line.trim();
  });
  const seconds = (Date.now() - start) / 1000;
  return code === 0
    ? { by: undefined, message: "SURVIVED", seconds }
    : { by: path, message, seconds };
}

async function tryMutant(
  name: string,
  mark: Mark,
  known: Attempt | undefined,
): Promise<Verdict> {
  const file = engineFiles(ROOT).find(({ path }) => path === mark.path);
  const mutant = MUTANTS.get(name);
  if (file === undefined || mutant === undefined) {
    throw new Error(`${mark.path} marks ${name}, which is not in the list`);
  }
  const text = mutate(file.text, mark, mutant.change);
  const directory = copyWith(mark.path, text);
  try {
    return mutant.test === undefined
      ? await hunt(directory, known)
      : await test(directory, mutant.test);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What found a mutant, in few words. */
function describe({ by }: Verdict): string {
  if (by === undefined) return "SURVIVED";
  if (typeof by === "string") return `\`${by.replace("tests/", "")}\``;
  const { mode, seed, operations, injection } = by;
  const words = `${mode} of ${operations}, seed ${seed}`;
  if (injection === undefined) return words;
  const { index, choice, forEver } = injection;
  return `${words}, injection ${index},${choice},${forEver ? "ever" : "once"}`;
}

async function checkEngine(): Promise<void> {
  const directory = copyWith();
  try {
    const verdicts = [await hunt(directory)];
    const tests = new Set(
      [...MUTANTS.values()].flatMap(({ test }) => test ?? []),
    );
    for (const path of tests) verdicts.push(await test(directory, path));
    const verdict = verdicts.find(({ by }) => by !== undefined);
    if (verdict === undefined) return;
    console.error(`the engine as it is: ${describe(verdict)}`);
    console.error(verdict.message.slice(0, 500));
    process.exit(2);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const TITLES: Record<MutantKind, string> = {
  sync: "Syncs",
  checksum: "Checksums",
  tombstone: "What keeps tombstones and older versions",
  order: "Order",
};

/** The tables of TESTING.md, of what was tried. */
function printTables(
  marks: ReadonlyMap<string, Mark>,
  verdicts: ReadonlyMap<string, Verdict>,
): void {
  for (const [kind, title] of Object.entries(TITLES)) {
    const rows = [...MUTANTS].flatMap(([name, mutant]) => {
      const verdict = verdicts.get(name);
      if (mutant.kind !== kind || verdict === undefined) return [];
      const reason = marks.get(name)?.reason;
      const cells = [`\`${name}\``, reason, describe(verdict)];
      return [{ line: `| ${cells.join(" | ")} |`, verdict }];
    });
    if (rows.length === 0) continue;
    const found = rows.filter(({ verdict }) => verdict.by !== undefined).length;
    console.log(`\n${title}: ${found} of ${rows.length}\n`);
    console.log("| mutant | what the line is for | found by |");
    console.log("| --- | --- | --- |");
    for (const { line } of rows) console.log(line);
  }
}

/** Keeps what found mutants. */
function keepFound(
  found: Record<string, Attempt>,
  verdicts: ReadonlyMap<string, Verdict>,
): void {
  const kept = { ...found };
  for (const [name, { by }] of verdicts) {
    if (typeof by === "object") kept[name] = by;
    else delete kept[name];
  }
  const sorted = [...MUTANTS.keys()].filter((name) => name in kept)
    .map((name) => [name, kept[name]]);
  const text = JSON.stringify(Object.fromEntries(sorted), undefined, 2);
  writeFileSync(FOUND, `${text}\n`);
}

async function main(): Promise<void> {
  process.on("SIGTERM", endAll);
  process.on("SIGINT", endAll);
  const marks = marksByName();
  const names = [...MUTANTS.keys()].filter(isWanted);
  const found: Record<string, Attempt> = JSON.parse(
    readFileSync(FOUND, "utf8"),
  );
  if (given.only === "*") await checkEngine();
  const verdicts = new Map<string, Verdict>();
  const waiting = names.values();
  const work = async () => {
    for (const name of waiting) {
      const mark = marks.get(name);
      if (mark === undefined) throw new Error(`no mark names ${name}`);
      const known = given.anew ? undefined : found[name];
      const verdict = await tryMutant(name, mark, known);
      verdicts.set(name, verdict);
      const seconds = `${verdict.seconds.toFixed(0)} s`;
      const message = verdict.message.slice(0, 160);
      console.log(`${name}: ${describe(verdict)}, ${seconds}: ${message}`);
      keepFound(found, verdicts);
    }
  };
  const jobs = Math.min(2, Math.max(1, Number(given.jobs)));
  await Promise.all(Array.from({ length: jobs }, work));
  printTables(marks, verdicts);
  const survived =
    [...verdicts.values()].filter(({ by }) => by === undefined).length;
  console.log(`\n${verdicts.size - survived} found, ${survived} survived`);
  process.exit(survived === 0 && verdicts.size > 0 ? 0 : 1);
}

await main();
