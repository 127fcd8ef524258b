/**
 * Worker threads that only listen: a test says what they say, and when they
 * start, get ready and die.
 *
 * @module
 */
import type {
  OwnerMessage,
  WorkerMessage,
} from "../../../lib/compaction/protocol.ts";
import {
  type MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import type {
  Runtime,
  WorkerEvents,
  WorkerThread,
} from "../../../lib/runtime/runtime.ts";

/** One thread. */
export class FakeThread implements WorkerThread {
  /** What it was sent. */
  readonly got: OwnerMessage[] = [];
  /** What was asked of it besides, in order. */
  readonly asked: ("ref" | "unref" | "terminate")[] = [];
  /** Where its module was said to be. */
  readonly url: string | undefined;
  readonly #events: WorkerEvents;

  constructor(events: WorkerEvents, url: string | undefined) {
    this.#events = events;
    this.url = url;
  }

  post(message: unknown): void {
    this.got.push(message as OwnerMessage);
  }

  ref(): void {
    this.asked.push("ref");
  }

  unref(): void {
    this.asked.push("unref");
  }

  terminate(): void {
    this.asked.push("terminate");
  }

  /** Says something to its owner. */
  say(message: WorkerMessage): void {
    this.#events.message(message);
  }

  /** Dies. */
  die(reason: unknown): void {
    this.#events.exit(reason);
  }

  /** The types of what it was sent. */
  get types(): string[] {
    return this.got.map(({ type }) => type);
  }

  /** The ids of the tasks that it was sent. */
  get runs(): number[] {
    return this.got.flatMap((m) => m.type === "run" ? [m.id] : []);
  }
}

/** A runtime with such threads, and timers that go off when a test says so. */
export class FakeThreads {
  /** All threads, in the order in which they were started. */
  readonly threads: FakeThread[] = [];
  /** The runtime. */
  readonly runtime: Runtime & { readonly files: MemoryFileSystem };
  /** Why no thread can be started, if so. */
  refusal: Error | undefined;
  #timers: { milliseconds: number; callback: () => void }[] = [];

  constructor() {
    this.runtime = {
      ...memoryRuntime(),
      later: (milliseconds, callback) => {
        const timer = { milliseconds, callback };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((other) => other !== timer);
        };
      },
      startWorker: (events, url) => {
        if (this.refusal !== undefined) return Promise.reject(this.refusal);
        const thread = new FakeThread(events, url);
        this.threads.push(thread);
        return Promise.resolve(thread);
      },
    };
  }

  /** The thread that was started last. */
  get last(): FakeThread {
    const thread = this.threads.at(-1);
    if (thread === undefined) throw new Error("no thread was started");
    return thread;
  }

  /** Lets every timer go off that was set. */
  async timersGoOff(): Promise<void> {
    const timers = this.#timers;
    this.#timers = [];
    for (const { callback } of timers) callback();
    await this.settle();
  }

  /** The milliseconds of the timers that are to go off. */
  get waits(): number[] {
    return this.#timers.map(({ milliseconds }) => milliseconds);
  }

  /** Lets promises settle, and the last thread get ready. */
  async getReady(): Promise<FakeThread> {
    await this.settle();
    const { last } = this;
    last.say({ type: "ready" });
    return last;
  }

  /** Lets promises settle. */
  settle(): Promise<void> {
    return this.runtime.pause();
  }
}
