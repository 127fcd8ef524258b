/**
 * A commit queue whose syncs and whose clock a test holds.
 *
 * @module
 */
import {
  type MemoryFileSystem,
  memoryRuntime,
} from "../../../lib/runtime/memory.ts";
import type { LogWriter } from "../../../lib/wal/writer.ts";
import { CommitQueue } from "../../../lib/write/commit_queue.ts";
import { Health } from "../../../lib/write/health.ts";
import { assert, assertEquals } from "../../assert.ts";
import { append, BEFORE, newLog } from "./logs.ts";
import { newFiles } from "./tables.ts";

/** A queue over a log in memory whose syncs end when the test says so. */
export class CommitBench {
  readonly files: MemoryFileSystem;
  readonly log: LogWriter;
  readonly health = new Health();
  readonly queue: CommitQueue;
  /** What happened, in its order. */
  readonly events: string[] = [];
  sequence = BEFORE;
  /** Milliseconds of the clock. */
  now = 0;
  #endings: (() => void)[] = [];

  constructor() {
    this.files = newFiles();
    this.log = newLog(this.files).log;
    this.queue = new CommitQueue(
      this.health,
      this.log,
      memoryRuntime(this.files, { clock: () => this.now }),
      () => this.events.push("after sync"),
    );
    this.files.syncDelay = () =>
      new Promise((resolve) => this.#endings.push(resolve));
    this.files.resetCounts();
  }

  /** Writes something; notes its acknowledgement under `name`. */
  write(
    name: string,
    durability: "sync" | "buffered",
    bytes = 1,
  ): Promise<void> {
    const value = "v".repeat(bytes);
    append(this.log, { sequence: ++this.sequence, kind: 0, key: name, value });
    const promise = this.queue.acknowledge(durability);
    promise.then(
      () => this.events.push(name),
      (error) => this.events.push(`${name} rejected ${error.code}`),
    );
    return promise;
  }

  /** Lets everything happen that needs no sync to end. */
  async turn(): Promise<void> {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }

  /** Ends the oldest sync under way, which was slow unless the test says otherwise. */
  async endSync(milliseconds = 5): Promise<void> {
    const end = this.#endings.shift();
    assert(end !== undefined, "no sync is under way");
    this.now += milliseconds;
    end();
    await this.turn();
  }

  get syncsUnderWay(): number {
    return this.#endings.length;
  }

  fail(operation: "write" | "sync", code = "EIO"): void {
    this.files.onOperation = (happening) => {
      if (happening !== operation) return;
      throw Object.assign(new Error("made by the test"), { code });
    };
  }

  /** Syncs that block, and those that are begun, take so long from now on. */
  syncsTake(milliseconds: number): void {
    this.files.onOperation = (happening) => {
      if (happening === "sync") this.now += milliseconds;
    };
  }

  /** Once the disk works again: what was not written or synced before is not tried again. */
  async assertNothingTried(): Promise<void> {
    this.files.onOperation = undefined;
    this.files.resetCounts();
    this.queue.writeOut();
    await this.turn();
    assertEquals([this.files.counts.write, this.files.counts.sync], [0, 0]);
  }
}
