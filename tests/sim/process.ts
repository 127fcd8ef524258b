/**
 * A simulated process: a runtime of the engine, made of a boot of the
 * simulated disk and of simulated time.
 *
 * Invariant: a process that has ended does nothing any more. What it still
 * tries on the disk throws, and nothing that it waits for ever comes.
 *
 * @module
 */
import type { Runtime, WorkerEvents } from "../../lib/runtime/runtime.ts";
import type {
  BootedFiles,
  Disk,
  DiskHooks,
  DiskOperation,
  Fault,
} from "./disk.ts";
import { hashText, type SeededDice } from "./random.ts";
import type { Owner, Scheduler } from "./scheduler.ts";
import type { Trace } from "./trace.ts";
import { SimulatedWorker, type WorkerMoment } from "./worker.ts";

/** When the first process starts: some day in 2026. */
const WALL_START = 1_790_000_000_000;

/** Milliseconds of a sync on a slow disk that somebody waits for. */
const SLOW_SYNCS = [0, 0, 100, 1000];

/** What takes part in the life of a process. */
export interface ProcessHooks {
  /** Called before each disk operation. */
  readonly before?: (operation: DiskOperation) => Fault | undefined;
  /** Called when an asynchronous operation has taken its time. */
  readonly after?: (operation: DiskOperation) => void;
  /** Whether a worker ends here. */
  readonly workerEnds?: (moment: WorkerMoment) => boolean;
  /** Whether no thread can be started. */
  readonly withoutThreads?: boolean;
}

/** What a process is made of. */
export interface ProcessSetup {
  readonly disk: Disk;
  readonly scheduler: Scheduler;
  readonly dice: SeededDice;
  readonly trace: Trace;
  readonly hooks?: ProcessHooks;
  /** Bytes of a table that go to the disk at a time. */
  readonly tableWriteBytes?: number;
}

/** Hashes of paths and kinds, for traces. */
const hashes = new Map<string, number>();

function hashOf(text: string): number {
  let hash = hashes.get(text);
  if (hash === undefined) hashes.set(text, hash = hashText(text));
  return hash;
}

/** See the head of this file. */
export class SimulatedProcess implements Owner {
  /** The disk, as this process sees it. */
  readonly files: BootedFiles;
  /** What the engine is given. */
  readonly runtime: Runtime;
  /** Milliseconds by which the wall clock is off. */
  wallOffset = 0;
  /** Operations so far. */
  operations = 0;
  /** Whether a timer that comes round is being called. */
  isInTimer = false;
  readonly #setup: ProcessSetup;
  readonly #clockDice: SeededDice;
  readonly #timeDice: SeededDice;
  readonly #workerDice: SeededDice;
  readonly #workers: SimulatedWorker[] = [];
  /** Whether flushes and merges come to an end while it syncs. */
  readonly #hasSlowDisk: boolean;

  constructor(setup: ProcessSetup) {
    const { disk, dice, tableWriteBytes } = setup;
    this.#setup = setup;
    this.#clockDice = dice.stream("clock");
    this.#timeDice = dice.stream("time");
    this.#workerDice = dice.stream("worker");
    this.#hasSlowDisk = this.#timeDice.chance(0.3);
    const hooks: DiskHooks = {
      before: (operation) => this.#before(operation),
      syncTime: (operation) => this.#syncTime(operation),
      removesAtOnce: () => this.#timeDice.chance(0.5),
      ...tableWriteBytes === undefined ? {} : { tableWriteBytes },
    };
    this.files = disk.boot(hooks);
    this.runtime = this.#makeRuntime();
  }

  get isDead(): boolean {
    return this.files.hasEnded;
  }

  /** Workers that have not ended. */
  get workers(): readonly SimulatedWorker[] {
    return this.#workers.filter((worker) => !worker.isDead);
  }

  /** Paths of the files that it made: a job begun at the opening may be making one. */
  readonly made: Set<string> = new Set();

  #before(operation: DiskOperation): Fault | undefined {
    const { trace, hooks } = this.#setup;
    const { kind, path, position = 0, length = 0 } = operation;
    this.operations++;
    if (kind === "create") this.made.add(path);
    if (kind === "sync" && operation.now && this.#hasSlowDisk) {
      this.#setup.scheduler.now += this.#timeDice.pick(SLOW_SYNCS);
    }
    trace.number(hashOf(kind));
    trace.number(hashOf(path));
    trace.number(position);
    trace.number(length);
    trace.detail(() =>
      `${operation.index} ${kind} ${path} ${position}+${length}`
    );
    return hooks?.before?.(operation);
  }

  async #syncTime(operation: DiskOperation): Promise<void> {
    const dice = this.#timeDice;
    const fate = dice.below(8);
    const milliseconds = fate < 3
      ? this.#hasSlowDisk ? dice.pick([100, 300, 1000]) : 0
      : fate < 7
      ? dice.below(300) / 100
      : dice.pick([30, 30, 300]);
    await this.#setup.scheduler.sleep(milliseconds, this);
    this.#setup.hooks?.after?.(operation);
  }

  /** Looking at the clock takes time, now and then more than a time slice. */
  #clock(): number {
    const { scheduler } = this.#setup;
    const fate = this.#clockDice.below(8);
    scheduler.now += fate === 0 ? 3 : fate / 100;
    return scheduler.now;
  }

  #makeRuntime(): Runtime {
    const { scheduler, hooks } = this.#setup;
    const runtime: Runtime = {
      name: "simulated",
      files: this.files,
      wallClock: () => WALL_START + this.wallOffset + this.#clock(),
      monotonicClock: () => this.#clock(),
      pause: () => scheduler.sleep(0, this),
      sleep: (milliseconds) => scheduler.sleep(milliseconds, this),
      later: (milliseconds, call) => scheduler.after(milliseconds, this, call),
      every: (milliseconds, call) => this.#every(milliseconds, call),
      slabResults: true,
    };
    if (hooks?.withoutThreads) return runtime;
    return {
      ...runtime,
      startWorker: async (events) => {
        await scheduler.sleep(0, this);
        return this.#startWorker(events).handle;
      },
    };
  }

  #every(milliseconds: number, call: () => void): () => void {
    let cancel = () => {};
    const wait = () => {
      cancel = this.#setup.scheduler.after(milliseconds, this, () => {
        wait();
        this.isInTimer = true;
        try {
          call();
        } finally {
          this.isInTimer = false;
        }
      }, true);
    };
    wait();
    return () => cancel();
  }

  #startWorker(events: WorkerEvents): SimulatedWorker {
    const { scheduler, trace, hooks } = this.#setup;
    const worker = new SimulatedWorker({
      scheduler,
      process: this,
      files: this.files,
      dice: this.#workerDice.stream("worker", this.#workers.length),
      trace,
      runtime: this.runtime,
      endsAt: (moment) => hooks?.workerEnds?.(moment) ?? false,
    }, events);
    this.#workers.push(worker);
    return worker;
  }
}
