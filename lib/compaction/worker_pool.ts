/**
 * Worker threads that wait for a database to need one.
 *
 * A database has a thread for itself from its first task until it is closed.
 * Then the thread waits a while for the next one: starting a thread costs
 * more than most tasks.
 *
 * @module
 */
import type { Runtime, WorkerThread } from "../runtime/runtime.ts";
import type { OwnerMessage, WorkerMessage } from "./protocol.ts";

/** Milliseconds that a thread without work stays. */
const IDLE_MILLISECONDS = 2000;
/** Threads without work that stay. */
const IDLE_MOST = 2;

/** Who uses a thread. */
export interface ThreadUser {
  /** The thread says something. */
  message(message: WorkerMessage): void;
  /** The thread is gone. Called once, also when it could not be started. */
  exit(reason: unknown): void;
}

/** A thread that does tasks. */
export class JobThread {
  /** Whether it has said that it is ready. */
  isReady = false;
  /** Whether it is gone. */
  isGone = false;
  /** Who uses it now. */
  user: ThreadUser | undefined;
  private readonly mail = new Int32Array(new SharedArrayBuffer(4));
  private unsent: OwnerMessage[] = [];
  private thread: WorkerThread | undefined;
  private isHeld = false;

  /** Starts a thread. */
  constructor(
    start: NonNullable<Runtime["startWorker"]>,
    url: string | undefined,
  ) {
    const events = {
      message: (message: unknown) => this.receive(message as WorkerMessage),
      exit: (reason: unknown) => this.exit(reason),
    };
    start(events, url).then(
      (thread) => this.started(thread),
      (error) => this.exit(error),
    );
  }

  private started(thread: WorkerThread): void {
    this.thread = thread;
    if (this.isGone) thread.terminate();
    else if (this.isHeld) thread.ref();
  }

  private receive(message: WorkerMessage): void {
    if (this.isGone) return;
    if (message.type === "ready") {
      this.isReady = true;
      this.send({ type: "open", mail: this.mail });
      const unsent = this.unsent;
      this.unsent = [];
      for (const waiting of unsent) this.send(waiting);
    }
    this.user?.message(message);
  }

  private exit(reason: unknown): void {
    if (this.isGone) return;
    this.isGone = true;
    this.user?.exit(reason);
  }

  /** Sends a message, once the thread is ready. */
  post(message: OwnerMessage): void {
    if (this.isReady) this.send(message);
    else this.unsent.push(message);
  }

  private send(message: OwnerMessage): void {
    Atomics.add(this.mail, 0, 1); // First, so that the worker waits for it.
    this.thread?.post(message);
  }

  /** Whether the thread keeps the process alive. */
  hold(isHeld: boolean): void {
    if (isHeld === this.isHeld) return;
    this.isHeld = isHeld;
    if (isHeld) this.thread?.ref();
    else this.thread?.unref();
  }

  /** Ends the thread, whatever it does. Its user is told nothing more. */
  terminate(): void {
    this.isGone = true;
    this.user = undefined;
    this.thread?.terminate();
  }
}

/** The threads of one runtime that have nothing to do, by where their module is. */
class WorkerPool {
  private readonly idle = new Map<string | undefined, JobThread[]>();

  take(runtime: Runtime, url: string | undefined): JobThread | undefined {
    const threads = this.idle.get(url) ?? [];
    for (let thread = threads.pop(); thread; thread = threads.pop()) {
      if (!thread.isGone) return thread;
    }
    const { startWorker } = runtime;
    return startWorker && new JobThread(startWorker, url);
  }

  give(runtime: Runtime, url: string | undefined, thread: JobThread): void {
    thread.user = undefined;
    thread.hold(false);
    if (thread.isGone) return;
    const threads = this.idle.get(url) ?? [];
    this.idle.set(url, threads);
    if (threads.length >= IDLE_MOST) return thread.post({ type: "close" });
    threads.push(thread);
    runtime.later(IDLE_MILLISECONDS, () => {
      const at = threads.indexOf(thread);
      if (at < 0) return;
      threads.splice(at, 1);
      thread.post({ type: "close" });
    });
  }
}

const pools = new WeakMap<Runtime, WorkerPool>();

function poolOf(runtime: Runtime): WorkerPool {
  let pool = pools.get(runtime);
  if (pool === undefined) {
    pool = new WorkerPool();
    pools.set(runtime, pool);
  }
  return pool;
}

/** A thread of its own for a database; `undefined` where there are none. */
export function takeThread(
  runtime: Runtime,
  url: string | undefined,
): JobThread | undefined {
  return poolOf(runtime).take(runtime, url);
}

/** Gives a thread back that has no task. */
export function giveThread(
  runtime: Runtime,
  url: string | undefined,
  thread: JobThread,
): void {
  poolOf(runtime).give(runtime, url, thread);
}
