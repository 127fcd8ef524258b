/**
 * A simulated worker thread: the engine's own job loop, on the simulation's
 * one thread.
 *
 * The real loop works until a counter in shared memory says that a message is
 * on its way; so it would never give way here, where nobody can post
 * meanwhile. The simulated worker is given a counter of its own, and with it
 * is interrupted at any of its disk operations, as if its thread had been
 * overtaken there by the owner's.
 *
 * Invariants:
 * - Messages arrive in order, each copied, at moments that dice decide.
 * - A worker that ends does nothing any more: what it tries on the disk
 *   throws, its messages are lost, its files are closed.
 *
 * @module
 */
import { JobLoop } from "../../lib/compaction/job_loop.ts";
import type {
  FileSystem,
  Runtime,
  WorkerEvents,
  WorkerThread,
} from "../../lib/runtime/runtime.ts";
import { cloneMessage, typeOf } from "./message.ts";
import type { Owner, Scheduler } from "./scheduler.ts";
import { type Gate, ThreadEnd, ThreadFiles } from "./thread_files.ts";
import type { SeededDice } from "./random.ts";
import type { Trace } from "./trace.ts";

/** Where in its life a worker may be ended. */
export type WorkerMoment =
  | "before a message"
  | "behind a message"
  | "at a disk operation"
  | "at its start";

/** What a worker needs of its surroundings. */
export interface WorkerSetup {
  readonly scheduler: Scheduler;
  readonly process: Owner;
  readonly files: FileSystem;
  readonly dice: SeededDice;
  readonly trace: Trace;
  /** The runtime of its process. */
  readonly runtime: Runtime;
  /** Whether it ends here. */
  readonly endsAt: (moment: WorkerMoment) => boolean;
}

/** How often a worker gives way at a disk operation. */
const INTERRUPTED = 0.15;

type Channel = { readonly queue: unknown[] };

/** See the head of this file. */
export class SimulatedWorker implements Owner {
  readonly #setup: WorkerSetup;
  readonly #events: WorkerEvents;
  readonly #files: ThreadFiles;
  readonly #toWorker: Channel = { queue: [] };
  readonly #toOwner: Channel = { queue: [] };
  readonly #counter = new Int32Array(new SharedArrayBuffer(4));
  #ownerCounter: Int32Array = new Int32Array(1);
  #listener: ((message: unknown) => void) | undefined;
  #hasEnded = false;

  constructor(setup: WorkerSetup, events: WorkerEvents) {
    this.#setup = setup;
    this.#events = events;
    this.#files = new ThreadFiles(setup.files, this.#gate);
    const { scheduler, dice } = setup;
    scheduler.after(dice.below(20), this, () => {
      if (this.#endsAt("at its start")) return;
      new JobLoop(this.#runtime(), {
        post: (message) => this.#post(message),
        listen: (onMessage) => this.#listener = onMessage,
        close: () => this.end("it was told to close"),
      });
    });
  }

  get isDead(): boolean {
    return this.#hasEnded || this.#setup.process.isDead;
  }

  /** What its owner holds. */
  get handle(): WorkerThread {
    return {
      post: (message) => this.#receive(message),
      ref: () => {},
      unref: () => {},
      terminate: () => this.end("it was terminated"),
    };
  }

  /** Ends the thread; its owner is told in a later turn. */
  end(reason: string): void {
    if (this.isDead) return;
    this.#hasEnded = true;
    this.#files.end();
    const { scheduler, process, trace } = this.#setup;
    trace.text(reason);
    trace.detail(() => `worker ends: ${reason}`);
    scheduler.after(0, process, () => this.#events.exit(reason));
  }

  #endsAt(moment: WorkerMoment): boolean {
    if (this.isDead) return true;
    if (!this.#setup.endsAt(moment)) return false;
    this.end(`killed ${moment}`);
    return true;
  }

  /** Stands before all that the thread does on the disk. */
  readonly #gate: Gate = (work) => {
    if (this.#endsAt("at a disk operation")) throw new ThreadEnd();
    if (this.#setup.dice.chance(INTERRUPTED)) this.#counter[0] = -1;
    return work();
  };

  #runtime(): Runtime {
    const { runtime, scheduler } = this.#setup;
    return {
      ...runtime,
      files: this.#files,
      pause: async () => {
        await scheduler.sleep(0, this);
        this.#counter[0] = this.#ownerCounter[0];
      },
    };
  }

  // Messages.

  #receive(message: unknown): void {
    if (this.isDead || this.#endsAt("before a message")) return;
    const copy = cloneMessage(message) as { type: string; mail?: Int32Array };
    if (copy.type === "open" && copy.mail !== undefined) {
      this.#ownerCounter = copy.mail;
      copy.mail = this.#counter;
    }
    this.#counter[0] = this.#ownerCounter[0];
    this.#deliver(this.#toWorker, copy, (arrived) => this.#listener?.(arrived));
  }

  #post(message: unknown): void {
    if (this.isDead || this.#endsAt("before a message")) return;
    const copy = cloneMessage(message);
    this.#deliver(this.#toOwner, copy, (arrived) => {
      this.#events.message(arrived);
    });
  }

  #deliver(
    channel: Channel,
    message: unknown,
    take: (message: unknown) => void,
  ): void {
    const { scheduler, dice, trace } = this.#setup;
    channel.queue.push(message);
    const delay = dice.chance(0.5) ? 0 : dice.below(200) / 100;
    scheduler.after(delay, this, () => {
      const arrived = channel.queue.shift();
      const type = typeOf(arrived);
      trace.text(type);
      trace.detail(() => `message: ${type}`);
      take(arrived);
      this.#endsAt("behind a message");
    });
  }
}
