/**
 * Spreads tasks over processes, one for each core.
 *
 * Invariants:
 * - Outcomes come in the order of the tasks, whichever ends first, so that
 *   what is printed does not depend on how many lanes there are.
 * - A process that dies, or hangs and is killed for it, is the failure of the
 *   task that it was at, and of no other: the next one is given a new process.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Outcome, perform, type Task } from "./modes.ts";

/** What a lane runs: an {@linkcode Order} a line in, an {@linkcode Answer} a line out. */
const CHILD: URL = new URL("./lane_child.ts", import.meta.url);

/** A task that takes longer hangs: one seed of mode errors takes some minutes, of the others seconds. */
const PATIENCE_MS = 20 * 60_000;

/** A task as text: sets have none. */
export type Order =
  & Omit<Task, "skipped" | "sabotage" | "print">
  & { readonly skipped: readonly number[] };

/** An outcome as text: of its failure, the task is known. */
export type Answer =
  & Pick<Outcome, "counts" | "hash">
  & { readonly failure?: { message: string; lines: readonly string[] } };

/** A task that came to its end. */
export interface Performed {
  readonly task: Task;
  readonly outcome: Outcome;
  /** Whether its process died: to try it here would be the end of this one. */
  readonly isDeath: boolean;
}

/** A process that performs one task after another. */
class Lane {
  readonly #script: string;
  #child: ChildProcess | undefined;
  #listener: (line: string | undefined) => void = () => {};

  constructor(script: URL) {
    this.#script = fileURLToPath(script);
  }

  #start(): ChildProcess {
    const flags = "Deno" in globalThis ? ["run", "--no-check", "-A"] : [];
    const child = spawn(process.execPath, [...flags, this.#script], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.on("error", () => {}); // It died: the end of its output says so.
    createInterface({ input: child.stdout })
      .on("line", (line) => this.#listener(line))
      .on("close", () => {
        this.#child = undefined;
        this.#listener(undefined);
      });
    return child;
  }

  async perform(task: Task, patienceMs: number): Promise<Performed> {
    const { mode, seed, operations, skipped, injection } = task;
    const order: Order = {
      mode,
      seed,
      operations,
      skipped: [...skipped],
      ...injection === undefined ? {} : { injection },
    };
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#listener = resolve;
    this.#child ??= this.#start();
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    let death = "its process died";
    const timer = setTimeout(() => {
      death = `it had no end within ${patienceMs / 1000} seconds`;
      // An answer that comes yet would leave its end to the next task.
      this.#listener = (line) => line === undefined && resolve(line);
      this.end();
    }, patienceMs);
    const line = await promise;
    clearTimeout(timer);
    return line === undefined
      ? dead(task, death)
      : finished(task, JSON.parse(line));
  }

  end(): void {
    this.#child?.kill("SIGKILL");
  }
}

function dead(task: Task, message: string): Performed {
  const outcome = {
    counts: { runs: 1 },
    hash: "",
    failure: { task, message, lines: [] },
  };
  return { task, outcome, isDeath: true };
}

function finished(task: Task, { counts, hash, failure }: Answer): Performed {
  const outcome = failure === undefined
    ? { counts, hash }
    : { counts, hash, failure: { task, ...failure } };
  return { task, outcome, isDeath: false };
}

/** Performs tasks in this process. */
async function* performHere(tasks: Iterable<Task>): AsyncGenerator<Performed> {
  for (const task of tasks) {
    yield { task, outcome: await perform(task), isDeath: false };
  }
}

/**
 * Performs tasks, `jobs` at a time, and gives their outcomes in the order of
 * the tasks; with one job, in this process.
 *
 * @param tasks A task is taken when a lane is free for it.
 */
export async function* performAll(
  tasks: Iterable<Task>,
  jobs: number,
  script: URL = CHILD,
  patienceMs: number = PATIENCE_MS,
): AsyncGenerator<Performed> {
  if (jobs <= 1) return yield* performHere(tasks);
  const lanes = Array.from({ length: jobs }, () => new Lane(script));
  const queue = tasks[Symbol.iterator]();
  const free = [...lanes];
  const places: { performed?: Performed }[] = [];
  const busy = new Set<Promise<void>>();
  let isAtEnd = false;
  try {
    for (;;) {
      for (const lane of free.splice(0)) {
        const { value: task, done } = queue.next();
        if (done) {
          isAtEnd = true;
          break;
        }
        const place: { performed?: Performed } = {};
        places.push(place);
        const work = lane.perform(task, patienceMs).then((performed) => {
          place.performed = performed;
          free.push(lane);
          busy.delete(work);
        });
        busy.add(work);
      }
      while (places[0]?.performed !== undefined) {
        yield places[0].performed;
        places.shift();
      }
      // Who took an outcome may have been slow: lanes may have become free.
      if (busy.size > 0) await Promise.race(busy);
      else if (isAtEnd) return;
    }
  } finally {
    for (const lane of lanes) lane.end();
  }
}
