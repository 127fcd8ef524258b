/**
 * Kills writing processes at random moments and checks what is left.
 *
 *     deno run -A tests/crash/kill.ts [--kills=200] [--seconds=S]
 *         [--runtimes=deno,bun,node] [--seed=N]
 *         [--background=worker,inline] [--strategy=size-tiered,leveled]
 *
 * Each kill is a round on one database directory: a process opens it, writes
 * down what it finds, works on it, and is sent SIGKILL while it opens, works,
 * works and compacts, or closes. What the next process finds, now and then one of another runtime,
 * must be a state that the killed one can have left: nothing acknowledged is
 * missing, nothing is there that was not written, no write is there in part.
 * Each process compacts in one of the ways that are given, so that a tree of
 * one strategy is taken over by the other.
 *
 * `--kills` is per runtime, `--seconds` a limit for everything. The last line
 * is `N passed, N failed`, one for each kill; the exit code is 0 only if
 * nothing failed and every runtime had a kill.
 *
 * @module
 */
import { makeTempDir, removeDir } from "../temp.ts";
import { Random } from "../engine/support/random.ts";
import {
  findRuntime,
  type Runtime,
  type RuntimeName,
  RUNTIMES,
} from "../tools/runtimes.ts";
import type { Task } from "./kill_child.ts";
import {
  type Dump,
  type Journal,
  parseJournal,
  PossibleStates,
} from "./support/kill_model.ts";
import { tornTails } from "./support/torn_logs.ts";

const CHILD = new URL("kill_child.ts", import.meta.url).pathname;
/** Databases of each runtime, each with one process at a time. */
const LANES_PER_RUNTIME = 2;
/** Processes at a time. */
const JOBS_MAX = 2;
/** Rounds on one directory. */
const ROUNDS_PER_DIRECTORY = 25;
/** Of so many rounds, one is followed by a look from another runtime. */
const ROUNDS_PER_VISIT = 6;
/** A process that takes longer to say what it does hangs. */
const PATIENCE_MS = 60_000;
/** Kills between two lines of progress. */
const KILLS_PER_LINE = 50;
/** Where compactions run, unless the command line says otherwise. */
const BACKGROUNDS = ["worker", "inline"] as const;
/** How compactions are chosen, unless the command line says otherwise. */
const STRATEGIES = ["size-tiered", "leveled"] as const;

interface Plan {
  readonly kills: number;
  readonly seconds: number;
  readonly runtimes: RuntimeName[];
  readonly seed: number;
  readonly backgrounds: readonly (typeof BACKGROUNDS[number])[];
  readonly strategies: readonly (typeof STRATEGIES[number])[];
}

/** What happened on one runtime. */
interface Totals {
  kills: number;
  failures: number;
  opens: number;
  visits: number;
  checked: number;
  acknowledged: number;
  flushes: number;
  compactions: number;
  stalls: number;
  tornWrites: number;
  byMoment: Record<Moment, number>;
}

/** When a process is killed. */
type Moment = "opening" | "working" | "maintaining" | "closing";

function readArguments(args: readonly string[]): Plan {
  const named = new Map<string, string>();
  for (const arg of args) {
    const match = /^--(kills|seconds|runtimes|seed|background|strategy)=(.+)$/
      .exec(arg);
    if (match === null) throw new Error(`unknown argument ${arg}`);
    named.set(match[1], match[2]);
  }
  const wanted = named.get("runtimes")?.split(",");
  return {
    kills: Number(named.get("kills") ?? 200),
    seconds: Number(named.get("seconds") ?? Infinity),
    runtimes: RUNTIMES.filter((name) => wanted?.includes(name) ?? true),
    seed: Number(named.get("seed") ?? Date.now() % 1_000_000),
    backgrounds: chosen("background", BACKGROUNDS, named),
    strategies: chosen("strategy", STRATEGIES, named),
  };
}

/** Those of `all` that an argument lists; all without it. */
function chosen<T extends string>(
  name: string,
  all: readonly T[],
  named: ReadonlyMap<string, string>,
): readonly T[] {
  const words = named.get(name)?.split(",");
  if (words === undefined) return all;
  return words.map((word) => {
    const found = all.find((choice) => choice === word);
    if (found === undefined) {
      throw new Error(`--${name}: ${word} is none of ${all.join(", ")}`);
    }
    return found;
  });
}

function commandLine({ name, path }: Runtime, task: Task): Deno.Command {
  const args = [CHILD, JSON.stringify(task)];
  if (name === "deno") args.unshift("run", "--quiet", "--no-check", "-A");
  return new Deno.Command(path, {
    args,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  });
}

/** A process whose words are waited for. */
class Process {
  readonly #child: Deno.ChildProcess;
  readonly #complaint: Promise<string>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #words: string[] = [];
  #rest = "";

  constructor(runtime: Runtime, task: Task) {
    this.#child = commandLine(runtime, task).spawn();
    this.#complaint = new Response(this.#child.stderr).text();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
  }

  /** Waits until the process says `word`. */
  async says(word: string): Promise<void> {
    const deadline = Date.now() + PATIENCE_MS;
    while (!this.#words.includes(word)) {
      const left = deadline - Date.now();
      const chunk = await withTimeout(this.#reader.read(), left);
      if (chunk === "late") {
        await this.kill();
        throw new Error(`the process hangs: it never says "${word}"`);
      }
      if (chunk.done) throw new Error(await this.#lastWords());
      this.#rest += chunk.value;
      const lines = this.#rest.split("\n");
      this.#rest = lines.pop() ?? "";
      this.#words.push(...lines);
    }
  }

  async #lastWords(): Promise<string> {
    const { code, signal } = await this.#child.status;
    const complaint = (await this.#complaint).trim();
    return `the process ended by itself (${signal ?? code}): ${complaint}`;
  }

  /** Kills the process; resolves when it is gone. */
  async kill(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already; how, `end` would tell.
    }
    await this.#gone();
  }

  /** Waits for the process to end well. */
  async end(): Promise<void> {
    const status = await withTimeout(this.#child.status, PATIENCE_MS);
    if (status === "late") {
      await this.kill();
      throw new Error("the process hangs: it never ends");
    }
    if (!status.success) throw new Error(await this.#lastWords());
    await this.#gone();
  }

  async #gone(): Promise<void> {
    await this.#child.status;
    await this.#complaint;
    await this.#reader.cancel();
  }
}

async function withTimeout<T>(
  promise: Promise<T>,
  milliseconds: number,
): Promise<T | "late"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const wait = (milliseconds: number) =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** One database after another, on one runtime. */
class Lane {
  readonly runtime: Runtime;
  readonly totals: Totals;
  isBusy = false;
  readonly #others: readonly Runtime[];
  readonly #plan: Plan;
  readonly #random: Random;
  readonly #name: string;
  #dir = makeTempDir("varve-kill-");
  #states = new PossibleStates();
  #rounds = 0;
  #processes = 0;
  #tornTails: readonly number[] = [];
  /** Acknowledged writes that no later process has looked for. */
  #unchecked = 0;

  constructor(
    runtime: Runtime,
    others: readonly Runtime[],
    totals: Totals,
    name: string,
    plan: Plan,
    seed: number,
  ) {
    this.runtime = runtime;
    this.totals = totals;
    this.#others = others;
    this.#name = name;
    this.#plan = plan;
    this.#random = new Random(seed);
  }

  /** Runs one round; returns what was wrong. */
  async round(): Promise<string | undefined> {
    try {
      await this.#kill();
      this.#rounds++;
      if (this.#rounds % ROUNDS_PER_VISIT === 0) await this.#visit();
      if (this.#rounds === ROUNDS_PER_DIRECTORY) await this.#startAfresh();
      return undefined;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const kept = this.#dir;
      this.#forget();
      return `${this.#name}: ${message}\n  the directory is ${kept}`;
    }
  }

  /** Has a last look at what the last kill left, and removes it. */
  async finish(): Promise<string | undefined> {
    try {
      if (this.#rounds > 0) await this.#startAfresh();
      removeDir(this.#dir);
      return undefined;
    } catch (error) {
      return `${this.#name}: ${error}\n  the directory is ${this.#dir}`;
    }
  }

  async #startAfresh(): Promise<void> {
    await this.#visit();
    removeDir(this.#dir);
    this.#forget();
  }

  #forget(): void {
    this.#dir = makeTempDir("varve-kill-");
    this.#states = new PossibleStates();
    this.#rounds = 0;
    this.#processes = 0;
    this.#unchecked = 0;
    this.#tornTails = [];
  }

  #newTask(closeAfterMs?: number): Task {
    const n = this.#processes++;
    return {
      dir: `${this.#dir}/db`,
      journal: `${this.#dir}/journal-${n}`,
      dump: `${this.#dir}/dump-${n}`,
      name: `${n}`,
      seed: this.#random.below(2 ** 31),
      keys: this.#states.keys,
      compaction: {
        background: this.#random.pick(this.#plan.backgrounds),
        strategy: this.#random.pick(this.#plan.strategies),
      },
      ...closeAfterMs === undefined ? {} : { closeAfterMs },
    };
  }

  async #kill(): Promise<void> {
    const random = this.#random;
    const chance = random.below(100);
    const moment: Moment = chance < 15
      ? "opening"
      : chance < 30
      ? "closing"
      : chance < 60
      ? "maintaining"
      : "working";
    const task = this.#newTask(
      moment === "closing" ? random.below(150) : undefined,
    );
    const process = new Process(this.runtime, task);
    await process.says(moment);
    // Most of what there is to meet lies in the first moments.
    const most = moment === "working" || moment === "maintaining"
      ? random.pick([5, 60, 300, 300])
      : 25;
    await wait(random.below(most));
    await process.kill();
    this.totals.kills++;
    this.totals.byMoment[moment]++;
    this.#learn(task);
  }

  /** Opens the database on another runtime, looks, and closes it. */
  async #visit(): Promise<void> {
    const task = this.#newTask(0);
    const process = new Process(this.#random.pick(this.#others), task);
    await process.says("closed");
    await process.end();
    this.totals.visits++;
    this.#learn(task);
  }

  /** Checks what a process found, then takes in what it did. */
  #learn(task: Task): void {
    const { totals } = this;
    const found = readIfThere(task.dump);
    const journal: Journal = parseJournal(readIfThere(task.journal));
    if (found !== "") {
      const dump: Dump = JSON.parse(found);
      const wrong = this.#states.settle(dump, this.#tornTails);
      if (wrong !== undefined) throw new Error(`${task.dump}: ${wrong}`);
      totals.opens++;
      totals.checked += this.#unchecked;
      this.#unchecked = 0;
      if (dump.lostTailBytes > 0) totals.tornWrites++;
    }
    this.#tornTails = tornTails(task.dir);
    this.#states.add(journal);
    totals.acknowledged += journal.acknowledged;
    this.#unchecked += journal.acknowledged;
    totals.flushes += journal.work.flushes;
    totals.compactions += journal.work.compactions;
    totals.stalls += journal.work.stalls;
  }
}

function newTotals(): Totals {
  return {
    kills: 0,
    failures: 0,
    opens: 0,
    visits: 0,
    checked: 0,
    acknowledged: 0,
    flushes: 0,
    compactions: 0,
    stalls: 0,
    tornWrites: 0,
    byMoment: { opening: 0, working: 0, maintaining: 0, closing: 0 },
  };
}

function summary(runtime: Runtime, totals: Totals): string {
  const { opening, working, maintaining, closing } = totals.byMoment;
  return `${runtime.name} ${runtime.version}: ${totals.kills} kills ` +
    `(${opening} opening, ${working} working, ` +
    `${maintaining} compacting, ${closing} closing), ` +
    `${totals.opens} opens checked, ${totals.visits} of them by any runtime, ` +
    `${totals.checked} acknowledged writes checked, ` +
    `${totals.flushes} flushes, ${totals.compactions} compactions, ` +
    `${totals.stalls} stalls, ${totals.tornWrites} writes torn by the kill, ` +
    `${totals.failures} failures`;
}

/** Runs rounds, always on the runtime that had the fewest kills, until all have enough or the time is up. */
async function runLanes(
  lanes: readonly Lane[],
  plan: Plan,
  deadline: number,
): Promise<void> {
  const killsWith = ({ totals }: Lane) =>
    lanes.filter((lane) => lane.isBusy && lane.totals === totals).length +
    totals.kills;
  const next = () =>
    lanes.filter((lane) => !lane.isBusy && killsWith(lane) < plan.kills)
      .sort((a, b) => killsWith(a) - killsWith(b))[0];
  const work = async () => {
    for (let lane = next(); lane && Date.now() < deadline; lane = next()) {
      lane.isBusy = true;
      const { totals, runtime } = lane;
      const wrong = await lane.round();
      lane.isBusy = false;
      if (wrong !== undefined) {
        totals.failures++;
        console.log(`FAILED (seed ${plan.seed}) ${wrong}`);
      }
      if (totals.kills % KILLS_PER_LINE === 0 && totals.kills > 0) {
        console.log(
          `${runtime.name}: ${totals.kills} kills, ` +
            `${totals.acknowledged} acknowledged writes, ` +
            `${totals.failures} failures`,
        );
      }
    }
    await Promise.all(
      lanes.filter((lane) => !lane.isBusy).map(async (lane) => {
        lane.isBusy = true;
        const wrong = await lane.finish();
        if (wrong === undefined) return;
        lane.totals.failures++;
        console.log(`FAILED (seed ${plan.seed}) ${wrong}`);
      }),
    );
  };
  const jobs = Math.min(navigator.hardwareConcurrency, JOBS_MAX);
  await Promise.all(Array.from({ length: jobs }, work));
}

async function main(): Promise<void> {
  const plan = readArguments(Deno.args);
  const runtimes = await Promise.all(plan.runtimes.map(findRuntime));
  const start = Date.now();
  console.log(
    `seed ${plan.seed}; ${plan.kills} kills on each of ` +
      runtimes.map(({ name, version }) => `${name} ${version}`).join(", ") +
      `; ${plan.backgrounds.join(", ")}; ${plan.strategies.join(", ")}`,
  );
  const totals = runtimes.map(newTotals);
  const random = new Random(plan.seed);
  const lanes = runtimes.flatMap((runtime, i) =>
    Array.from({ length: LANES_PER_RUNTIME }, (_, n) =>
      new Lane(
        runtime,
        runtimes,
        totals[i],
        `${runtime.name} ${n + 1}`,
        plan,
        random.below(2 ** 31),
      ))
  );
  await runLanes(lanes, plan, start + plan.seconds * 1000);
  runtimes.forEach((runtime, i) => console.log(summary(runtime, totals[i])));
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  console.log(`seed ${plan.seed}, ${seconds} seconds`);
  let passed = 0;
  let failed = 0;
  for (const { kills, failures } of totals) {
    passed += Math.max(0, kills - failures);
    // A runtime that nobody was killed on was not tested.
    failed += kills === 0 ? Math.max(1, failures) : failures;
  }
  console.log(`${passed} passed, ${failed} failed`);
  Deno.exit(failed === 0 && runtimes.length > 0 ? 0 : 1);
}

await main();
