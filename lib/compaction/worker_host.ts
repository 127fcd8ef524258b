/**
 * Does tasks on a worker thread, and goes on when the thread dies.
 *
 * Invariants:
 * - A task whose thread died is done again, with other file numbers, after
 *   the files of the first try were removed.
 * - A thread that does not answer may be ended in name only (Deno cannot stop
 *   a busy one). Its files are left alone: those that are there keep their
 *   numbers from being given again, and it cannot write to anybody else's,
 *   for files are created only where there is none.
 * - A thread that cannot even start, or that dies again and again, is given
 *   up: from then on tasks are done on the owner's thread. While there is a
 *   thread, it has all of them.
 * - Whoever waits for a task keeps the process alive; a task that nobody
 *   waits for does not.
 *
 * @module
 */
import type { Runtime } from "../runtime/runtime.ts";
import {
  aborted,
  type InlineHost,
  type RunningTask,
  type TaskEnd,
  type TaskHost,
} from "./host.ts";
import { errorOf, type WorkerMessage } from "./protocol.ts";
import type { TaskSources } from "./run_task.ts";
import type { Task } from "./tasks.ts";
import { giveThread, type JobThread, takeThread } from "./worker_pool.ts";

/** Deaths without a task done between them after which no thread is started any more; */
const DEATHS_MOST = 5;
/** the same for threads that never got ready. */
const FAILED_STARTS_MOST = 2;
/** Milliseconds that a task has for giving up. */
const ABORT_MILLISECONDS = 2000;

/** What the host needs of its database. */
export interface WorkerHostOptions {
  /** The runtime. */
  readonly runtime: Runtime;
  /** Where the worker's module is, if not where the library is. */
  readonly url: string | undefined;
  /** Does tasks when there is no thread. */
  readonly inline: InlineHost;
  /** Removes what a task may have written. */
  readonly discard: (task: Task) => void;
  /** The same task with other file numbers. */
  readonly renew: (task: Task) => Task;
  /** Is told of each death; `isReplaced` says whether another thread is started. */
  readonly onDeath: (reason: unknown, isReplaced: boolean) => void;
}

interface Assignment {
  task: Task;
  readonly sources: TaskSources;
  readonly end: TaskEnd;
  inline: RunningTask | undefined;
  isAborted: boolean;
}

/** A host with a thread. */
export class WorkerHost implements TaskHost {
  /** Whether tasks are done on a thread, as far as is known. */
  isUsable: boolean;
  /** Whether a thread was left to itself that did not answer. */
  hasStray = false;
  private readonly options: WorkerHostOptions;
  private readonly assignments = new Map<number, Assignment>();
  private thread: JobThread | undefined;
  private nextId = 1;
  private deaths = 0;
  private failedStarts = 0;
  private holds = 0;

  /** Starts nothing before the first task. */
  constructor(options: WorkerHostOptions) {
    this.options = options;
    this.isUsable = options.runtime.startWorker !== undefined;
  }

  run(task: Task, sources: TaskSources, end: TaskEnd): RunningTask {
    const id = this.nextId++;
    const assignment = {
      task,
      sources,
      end,
      inline: undefined,
      isAborted: false,
    };
    this.assignments.set(id, assignment);
    this.assign(id, assignment);
    return { abort: () => this.abort(id) };
  }

  private assign(id: number, assignment: Assignment): void {
    const thread = this.isUsable ? this.threadNow() : undefined;
    if (thread !== undefined) {
      thread.post({ type: "run", id, task: assignment.task });
      return;
    }
    const { sources } = assignment;
    assignment.inline = this.options.inline.run(assignment.task, sources, {
      done: (result, seconds) => {
        this.assignments.delete(id);
        assignment.end.done(result, seconds);
      },
      failed: (error) => {
        this.assignments.delete(id);
        assignment.end.failed(error);
      },
    });
  }

  private threadNow(): JobThread | undefined {
    if (this.thread !== undefined) return this.thread;
    const { runtime, url } = this.options;
    const thread = takeThread(runtime, url);
    if (thread === undefined) return undefined;
    thread.user = {
      message: (message) => this.receive(message),
      exit: (reason) => this.died(reason, thread.isReady),
    };
    thread.hold(this.holds > 0);
    this.thread = thread;
    return thread;
  }

  private receive(message: WorkerMessage): void {
    if (message.type === "ready") return;
    const assignment = this.assignments.get(message.id);
    if (assignment === undefined) return;
    this.assignments.delete(message.id);
    if (message.type === "failed") {
      assignment.end.failed(errorOf(message.error));
      return;
    }
    this.deaths = 0;
    this.failedStarts = 0;
    if (assignment.isAborted) {
      // It was done before it could be given up.
      this.options.discard(assignment.task);
      assignment.end.failed(aborted());
      return;
    }
    try {
      assignment.end.done(message.result, message.seconds);
    } catch (error) {
      assignment.end.failed(error);
    }
  }

  private died(reason: unknown, wasReady: boolean): void {
    this.thread = undefined;
    this.deaths++;
    if (!wasReady) this.failedStarts++;
    this.isUsable = this.deaths < DEATHS_MOST &&
      this.failedStarts < FAILED_STARTS_MOST;
    this.options.onDeath(reason, this.isUsable);
    for (const [id, assignment] of [...this.assignments]) {
      // mutant files-of-a-dead-worker-go: otherwise they stay until the next opening
      this.options.discard(assignment.task);
      if (assignment.isAborted) {
        this.assignments.delete(id);
        assignment.end.failed(aborted());
      } else {
        assignment.task = this.options.renew(assignment.task);
        this.assign(id, assignment);
      }
    }
  }

  private abort(id: number): void {
    const assignment = this.assignments.get(id);
    if (assignment === undefined || assignment.isAborted) return;
    if (assignment.inline !== undefined) return assignment.inline.abort();
    assignment.isAborted = true;
    this.thread?.post({ type: "abort", id });
    this.options.runtime.later(ABORT_MILLISECONDS, () => {
      // Had the thread died meanwhile, the task would have ended with it.
      if (this.assignments.has(id)) this.forsake();
    });
  }

  /** Ends the thread, which does not answer, and what it was to do. */
  private forsake(): void {
    this.thread?.terminate();
    this.thread = undefined;
    this.isUsable = false;
    this.hasStray = true;
    this.options.onDeath("it did not answer", false);
    for (const [id, { end }] of [...this.assignments]) {
      this.assignments.delete(id);
      end.failed(aborted());
    }
  }

  /** Somebody waits: the process stays alive. To be undone by {@linkcode WorkerHost.letGo}. */
  hold(): void {
    if (this.holds++ === 0) this.thread?.hold(true);
  }

  /** Somebody waits no more. */
  letGo(): void {
    if (--this.holds === 0) this.thread?.hold(false);
  }

  /** Lets go of the thread. All tasks have ended. */
  close(): void {
    const { thread } = this;
    this.thread = undefined;
    if (thread === undefined) return;
    giveThread(this.options.runtime, this.options.url, thread);
  }
}
