/**
 * One run of the simulation: the lives of one database, one after the other,
 * under one seed.
 *
 * A run is a row of operations, each with dice of its own, so that some of
 * them can be left out without changing the others. Some are calls of the
 * engine; some are what the world does to it: a crash, a failure, the death of
 * a worker, a jump of the clock.
 *
 * Invariants:
 * - Whatever was acknowledged before a crash is in the ledger; what comes
 *   after it is not listened to.
 * - Every violation ends the run, also one that is noticed in a place from
 *   which the engine would swallow it.
 *
 * @module
 */
import {
  type Db,
  type Options,
  type TreeEvent,
  VarveError,
} from "../../mod.ts";
import { openWith } from "../open.ts";
import { Disk, type DiskOperation, type Fault } from "./disk.ts";
import {
  Faults,
  fileKindOf,
  type Hit,
  isCommitted,
  strikeAfter,
} from "./faults.ts";
import { type Crash, Ledger, type Window } from "./ledger.ts";
import { Life } from "./life.ts";
import type { Change } from "./model.ts";
import { OPERATIONS, operationWeights } from "./operations.ts";
import { describeOptions, randomOptions } from "./options.ts";
import {
  checkClosed,
  checkEverything,
  checkGets,
  checkLetGo,
  must,
  orphansLeft,
  orphansOf,
  PATH,
  someKeys,
  stateOf,
  Violation,
} from "./oracles.ts";
import { SimulatedProcess } from "./process.ts";
import { SeededDice } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";
import type { WorkerMoment } from "./worker.ts";

/** What is to be run. */
export interface RunPlan {
  readonly seed: number;
  /** How many operations. */
  readonly operations: number;
  /** Which of them are left out. */
  readonly skipped?: ReadonlySet<number>;
  /** Without crashes and failures of its own. */
  readonly isCalm?: boolean;
  /** Sees the disk before each operation that changes it. */
  readonly onMutation?: (run: Run, operation: DiskOperation) => void;
  /** Sees the disk after the database was closed. */
  readonly onClosed?: (run: Run) => void;
  /** Looks at what was seen, between tasks. */
  readonly onQuiet?: (run: Run) => Promise<void> | undefined;
  /** Fails operations, beside those that the seed fails. */
  readonly faults?: (faults: Faults) => void;
  /** Breaks the disk behind everybody's back, for tests of the simulator. */
  readonly sabotage?: (operation: DiskOperation) => Fault | undefined;
  /** Takes the trace, line by line. */
  readonly print?: (line: string) => void;
}

/** What happened, in numbers. */
export interface Counts {
  operations: number;
  diskOperations: number;
  opens: number;
  powerLosses: number;
  processDeaths: number;
  crashesDuringRecovery: number;
  workerDeaths: number;
  faults: Record<string, number>;
}

/** A crash to come. */
interface CrashPlan {
  readonly crash: Crash;
  /** How many changes of the disk come before it. */
  left: number;
}

/** The process has ended: what was under way is not to be gone on with. */
export class Crashed extends Error {}

/** How long a closed database is watched: nothing of it may go on. */
const REST_MILLISECONDS = 5000;

/** Whoever waits for simulated time and is no process. */
const WORLD = { isDead: false };

/** See the head of this file. */
export class Run {
  readonly plan: RunPlan;
  readonly trace: Trace;
  readonly dice: SeededDice;
  readonly scheduler: Scheduler;
  readonly ledger: Ledger = new Ledger();
  readonly faults: Faults = new Faults();
  readonly disk: Disk = new Disk();
  readonly counts: Counts = {
    operations: 0,
    diskOperations: 0,
    opens: 0,
    powerLosses: 0,
    processDeaths: 0,
    crashesDuringRecovery: 0,
    workerDeaths: 0,
    faults: {},
  };
  /** A number that no value has had. */
  stamp = 1;
  /** The options of the next opening. */
  options: Options;
  /** Bytes of a table that go to the disk at a time; few in a fourth of the seeds, so that small tables are synced while they are written. */
  readonly #tableWriteBytes: number | undefined;
  /** Moments until the worker ends. */
  workerEndsIn = Infinity;
  /** How the database was left; both, if a recovery ended in another way. */
  #lastEnds: Set<Crash> = new Set();
  #life: Life | undefined;
  #process: SimulatedProcess | undefined;
  #processes = 0;
  #crashPlan: CrashPlan | undefined;
  #crash: Crash | undefined;
  #died: PromiseWithResolvers<never> = Promise.withResolvers();
  #violation: Violation | undefined;
  /** The step of simulated time in which a write or sync failed, by kind of file. */
  readonly #poisoned: Map<string, number> = new Map();
  /** Files of which a write or sync was seen to fail. */
  readonly #broken: Set<string> = new Set();
  /** Whether the database was closed and not opened again. */
  #isAtRest = false;
  /** Whether a log was read with a bit flipped: for all that can be told, its end is lost. */
  #isLogMisread = false;
  /** Files of which a sync is under way. */
  readonly #syncing: Set<string> = new Set();

  constructor(plan: RunPlan) {
    this.plan = plan;
    this.trace = new Trace(plan.print);
    this.dice = new SeededDice(plan.seed);
    this.scheduler = new Scheduler(this.dice.stream("scheduler"));
    this.scheduler.onQuiet = () => plan.onQuiet?.(this);
    this.options = randomOptions(this.dice.stream("options"));
    const disk = this.dice.stream("disk");
    this.#tableWriteBytes = disk.chance(0.25)
      ? disk.pick([64, 256, 1024])
      : undefined;
    plan.faults?.(this.faults);
  }

  /** Whether a database is open. */
  get isOpen(): boolean {
    return this.#life !== undefined;
  }

  /** The open database. */
  get life(): Life {
    if (this.#life === undefined) throw new Error("no database is open");
    return this.#life;
  }

  get #isDead(): boolean {
    return this.#crash !== undefined;
  }

  /** Runs everything; throws a {@linkcode Violation}, or what else was wrong. */
  async run(): Promise<void> {
    await this.scheduler.runUntil(this.#drive());
  }

  // The course of things.

  async #drive(): Promise<void> {
    const weights = operationWeights(this.dice.stream("weights"), this.plan);
    const first = this.dice.stream("first opening");
    if (!this.plan.isCalm && first.chance(0.3)) {
      this.armCrash("process death", first.below(8));
    }
    await this.#surviving(() => this.open(first));
    for (let i = 0; i < this.plan.operations; i++) {
      const dice = this.dice.stream("operation", i);
      const which = OPERATIONS[dice.weighted(weights)];
      if (this.plan.skipped?.has(i)) continue;
      this.counts.operations++;
      this.scheduler.progress();
      this.note(`${i} ${which.name}`);
      await this.#surviving(() => which.perform(this, dice));
    }
    await this.#surviving(() => this.#finish());
  }

  /** Does something, and if the process ends meanwhile opens the database anew. */
  async #surviving(work: () => Promise<void> | void): Promise<void> {
    let next = work;
    const dice = this.dice.stream("survival", this.counts.opens);
    for (;;) {
      try {
        await next();
        this.#checkAlive();
        break;
      } catch (error) {
        if (this.#violation !== undefined) throw this.#violation;
        if (!this.#isDead) throw error;
        if (error instanceof Violation) throw error;
        await this.#recover(dice);
        next = () => this.open(dice);
      }
    }
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** The process has ended, and perhaps the power with it. */
  async #recover(dice: SeededDice): Promise<void> {
    const crash = this.#crash ?? "process death";
    this.note(`${crash}`);
    this.#lastEnds.add(crash);
    this.#life = undefined;
    await this.scheduler.sleep(0, WORLD);
    this.scheduler.dropDead();
    this.scheduler.forgetIdleWaiters();
    this.faults.heal();
    this.faults.forgive();
    if (crash === "power loss") {
      this.counts.powerLosses++;
      this.disk.powerLoss(
        dice,
        dice.pick(["any", "any", "any", "lose-all", "keep-all"] as const),
      );
    } else this.counts.processDeaths++;
    if (dice.chance(0.2)) {
      this.faults.arm(strikeAfter(dice, dice.below(40), false));
    }
    if (dice.chance(0.3)) {
      this.counts.crashesDuringRecovery++;
      this.armCrash(
        dice.chance(0.6) ? "power loss" : "process death",
        dice.below(30),
      );
    }
  }

  /** Arms a crash in so many changes of the disk. */
  armCrash(crash: Crash, after: number): void {
    this.#crashPlan = { crash, left: after };
  }

  /** What `promise` comes to, unless the process ends before. */
  async live<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {}); // The death of the process may come first.
    try {
      return await Promise.race([promise, this.#died.promise]);
    } finally {
      this.#checkAlive();
    }
  }

  #checkAlive(): void {
    if (this.#violation !== undefined) throw this.#violation;
    if (this.#isDead) throw new Crashed();
  }

  // Processes.

  #startProcess(dice: SeededDice): SimulatedProcess {
    const old = this.#process;
    if (old !== undefined && !old.isDead && dice.chance(0.5)) return old;
    this.#crash = undefined;
    this.#died = Promise.withResolvers();
    this.#died.promise.catch(() => {});
    this.#process = new SimulatedProcess({
      disk: this.disk,
      scheduler: this.scheduler,
      dice: this.dice.stream("process", this.#processes++),
      trace: this.trace,
      hooks: {
        before: (operation) => this.#before(operation),
        after: (operation) => this.#after(operation),
        workerEnds: (moment) => this.#workerEnds(moment),
        withoutThreads: dice.chance(0.05),
      },
      tableWriteBytes: this.#tableWriteBytes,
    });
    this.scheduler.dropDead();
    this.#syncing.clear();
    this.#forgetFailures();
    return this.#process;
  }

  #before(operation: DiskOperation): Fault | undefined {
    this.counts.diskOperations++;
    if (this.#isAtRest) {
      this.violate(`${operation.kind} ${operation.path} behind close()`);
    }
    if (operation.mutates) {
      this.plan.onMutation?.(this, operation);
      const plan = this.#crashPlan;
      if (plan !== undefined && plan.left-- <= 0) return this.#die(plan.crash);
    }
    this.#checkNotRetried(operation);
    this.#checkOneSync(operation);
    const fault = this.faults.strike(operation, {
      isAtClosing: this.#life?.isClosing === true,
      isInTimer: this.#life?.process.isInTimer === true,
    });
    if (fault === undefined) return this.plan.sabotage?.(operation);
    this.#noteFault(operation, fault);
    return fault;
  }

  #noteFault(operation: DiskOperation, fault: Fault): void {
    const { kind, path } = operation;
    const name = fault.kind === "error" ? `${kind} ${fault.code}` : fault.kind;
    this.counts.faults[name] = (this.counts.faults[name] ?? 0) + 1;
    this.note(`fault: ${name} at ${kind} ${path}`);
    this.ledger.isCacheSuspect ||= fault.kind === "lostSync";
    this.#isLogMisread ||= fault.kind === "flipOnRead" &&
      path.endsWith(".vlog");
    const isLater = kind === "sync" && operation.now === false;
    if (isLater) return;
    this.#poison(operation);
    if (isCommitted(operation)) this.#broken.add(path);
  }

  /** An asynchronous sync has taken its time: now its failure is told. */
  #after(operation: DiskOperation): void {
    if (operation.kind === "sync") this.#syncing.delete(operation.path);
    const isHit = this.faults.hits.some((hit) =>
      hit.operation.index === operation.index
    );
    if (isHit) this.#poison(operation);
  }

  #poison(operation: DiskOperation): void {
    if (!isCommitted(operation)) return;
    this.#poisoned.set(fileKindOf(operation), this.scheduler.steps);
  }

  /** What failed to be written or synced is not written or synced again by this handle. */
  #checkNotRetried(operation: DiskOperation): void {
    if (!isCommitted(operation) || this.#life === undefined) return;
    const kind = fileKindOf(operation);
    if (kind !== "log" && kind !== "manifest") return;
    const since = this.#poisoned.get(kind) ?? Infinity;
    // In the step in which a sync fails, others may have been on their way.
    const isLater = this.scheduler.steps > since;
    if (!isLater && !this.#broken.has(operation.path)) return;
    this.violate(
      `a ${operation.kind} of ${operation.path} after one had failed`,
    );
  }

  /** A second sync of a log may hide the failure of the first. */
  #checkOneSync({ kind, path, now }: DiskOperation): void {
    if (kind !== "sync" || !path.endsWith(".vlog")) return;
    if (this.#syncing.has(path)) {
      this.violate(`a sync of ${path} while another is under way`);
    }
    if (now === false) this.#syncing.add(path);
  }

  #forgetFailures(): void {
    this.#poisoned.clear();
    this.#broken.clear();
  }

  #workerEnds(moment: WorkerMoment): boolean {
    if (--this.workerEndsIn > 0) return false;
    this.workerEndsIn = Infinity;
    this.counts.workerDeaths++;
    this.note(`the worker dies ${moment}`);
    // What had failed for it dies with it: its task is done again.
    const isStruck = this.faults.hits.length > 0;
    if (isStruck && this.#life !== undefined) this.#life.hasSurfaced = true;
    return true;
  }

  #die(crash: Crash): Fault | undefined {
    this.#crashPlan = undefined;
    this.#crash = crash;
    this.#died.reject(new Crashed());
    if (crash === "power loss") return { kind: "powerLoss" };
    this.disk.killProcess(
      this.ledger.isCacheSuspect ? "dropped" : "kept",
    );
    return undefined;
  }

  /** Ends the run, wherever it is noticed. */
  violate(message: string): void {
    this.#violation ??= new Violation(message);
  }

  // Opening and closing.

  /** Opens the database and checks what it shows. */
  async open(dice: SeededDice): Promise<void> {
    this.#isAtRest = false;
    const process = this.#startProcess(dice);
    const db = await this.#openHandle(process, dice);
    this.counts.opens++;
    this.#crashPlan = undefined;
    this.#forgetFailures();
    const life = new Life(process, db, this.options);
    this.#life = life;
    life.listen((event) => this.#onEvent(event));
    const stats = db.stats();
    life.sequence = stats.lastSequence;
    const window = this.#window();
    const state = this.#readOnceMore(() =>
      stateOf(db, this.ledger, window, stats.lastSequence)
    );
    this.note(
      `state ${state} of ${window.first} to ${window.last}, ` +
        `${stats.tableCount} tables; ${describeOptions(this.options)}`,
    );
    this.ledger.shown(state);
    this.#isLogMisread = false;
    const mayHaveOrphans = this.#lastEnds.size > 0 ||
      this.faults.hits.length > 0;
    this.#lastEnds.clear();
    const keys = someKeys(this.ledger.model, dice, 6);
    this.#readOnceMore(() => checkGets(db, this.ledger.model, keys));
    const orphans = await orphansLeft(
      () => orphansOf(this.disk, db.stats(), process.made),
      () => this.live(this.scheduler.idle()),
    );
    if (orphans.length === 0) return;
    // Behind a manifest whose end was torn, an opening removes nothing.
    must(mayHaveOrphans, () => `not removed: ${orphans.join(" ")}`);
    this.note("once more, for the orphans");
    await this.close();
    await this.open(dice);
  }

  /** Reads; if the disk fails, again, when it works. */
  #readOnceMore<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.excuse(error);
      this.faults.heal();
      return read();
    }
  }

  #window(): Window {
    return this.window("process death");
  }

  /** What may be found after a crash now, and after what has happened since the last opening. */
  window(crash: Crash): Window {
    const isPowerLost = this.#lastEnds.has("power loss");
    const window = this.ledger.window(isPowerLost ? "power loss" : crash);
    return this.#isLogMisread ? { ...window, first: 0 } : window;
  }

  async #openHandle(
    process: SimulatedProcess,
    dice: SeededDice,
  ): Promise<Db> {
    for (let attempt = 0;; attempt++) {
      try {
        return await this.live(
          openWith(process.runtime, PATH, this.options),
        );
      } catch (error) {
        this.#checkAlive();
        must(
          attempt < 4 && this.excuses(error) && this.faults.hits.length > 0,
          () => `it does not open: ${describeError(error)}`,
        );
        this.note(`it does not open: ${codeOf(error)}`);
        checkLetGo(process.files);
        this.faults.forgive();
        this.#lastEnds.add("process death");
        if (attempt > 0 || dice.chance(0.7)) this.faults.heal();
      }
    }
  }

  /** Closes the database; everything accepted is durable afterwards. */
  async close(): Promise<void> {
    const { life } = this;
    life.isClosing = true;
    const accepted = this.ledger.last;
    let hasFailed = false;
    try {
      await this.live(life.db.close());
      this.ledger.acknowledged(accepted, "sync");
    } catch (error) {
      this.excuse(error);
      hasFailed = true;
    }
    await this.settle();
    this.#checkSurfaced(hasFailed);
    checkClosed(life);
    checkLetGo(life.process.files);
    this.#life = undefined;
    this.#isAtRest = true;
    if (this.dice.stream("rest", this.counts.opens).chance(0.3)) {
      await this.scheduler.sleep(REST_MILLISECONDS, life.process);
      this.#checkAlive();
    }
    if (!hasFailed) {
      this.plan.onClosed?.(this);
      return;
    }
    this.note("closing failed");
    this.#lastEnds.add("process death");
  }

  /** Every failure was told, or did no harm. */
  #checkSurfaced(hasFailed: boolean): void {
    const { life, faults } = this;
    if (hasFailed || life.hasSurfaced) {
      faults.forgive();
      return;
    }
    for (const hit of faults.hits) {
      const { operation, fault } = hit;
      must(
        isHarmless(hit) || hit.isAtClosing && isOfJobs(operation),
        () =>
          `nobody was told of ${JSON.stringify(fault)} at ${operation.kind} ` +
          `${operation.path}`,
      );
    }
    faults.forgive();
  }

  #onEvent(event: TreeEvent): void {
    this.trace.text(event.type);
    if (event.type !== "error") return;
    this.trace.detail(() => `error event: ${event.error}`);
    if (this.#life === undefined) return;
    try {
      this.excuse(event.error);
    } catch (error) {
      this.violate(`in the background: ${error}`);
    }
  }

  // Errors.

  /** Whether an error is what a failure that was made should come to. */
  excuses(error: unknown): boolean {
    if (!(error instanceof VarveError)) return false;
    const isClosing = this.#life?.isClosing === true;
    switch (error.code) {
      case "ABORTED":
        return isClosing;
      case "IO":
      case "READ_ONLY":
        return this.faults.hits.length > 0;
      case "CORRUPTION":
        return this.faults.hits.some(({ fault }) =>
          fault.kind === "flipOnRead" || fault.kind === "shortRead" ||
          fault.kind === "misdirectedWrite"
        );
      default:
        return false;
    }
  }

  /** Takes an error that must be excused; throws it as a violation if it is not. */
  excuse(error: unknown): void {
    this.#checkAlive();
    if (error instanceof Violation || error instanceof Crashed) throw error;
    if (!this.excuses(error)) {
      throw new Violation(`it failed: ${describeError(error)}`);
    }
    this.trace.text(codeOf(error));
    if (this.#life === undefined) return;
    this.life.hasSurfaced ||= codeOf(error) !== "ABORTED";
    if (codeOf(error) === "READ_ONLY") this.life.isReadOnly = true;
  }

  /** Does something that may fail if the disk does. */
  attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.excuse(error);
      return undefined;
    }
  }

  // Writes.

  /** Writes a batch; returns its acknowledgement, which never rejects. */
  write(
    changes: readonly Change[],
    durability: "sync" | "buffered",
    call: (db: Db) => Promise<void>,
  ): Promise<void> {
    const { life, ledger } = this;
    const before = life.sequence;
    const expected = before + changes.length;
    this.trace.detail(() =>
      `write ${ledger.last + 1} ${expected} ${
        JSON.stringify(changes.map((c) =>
          c.type === "put" ? ["put", c.row.key, c.row.value.length] : c
        ))
      }`
    );
    if (changes.length > 0) ledger.add(changes, expected);
    const state = ledger.last;
    const promise = call(life.db);
    promise.catch(() => {}); // It is looked at below.
    this.#checkAlive();
    const { lastSequence, stalls } = life.db.stats();
    // Some acknowledgements are held back, though they were given before.
    const isDelayed = life.isShared || stalls.count > life.stalls;
    life.stalls = stalls.count;
    life.sequence = lastSequence;
    const isAccepted = life.sequence === expected;
    if (!isAccepted) {
      must(
        life.sequence === before,
        () => `a batch of ${changes.length} took ${life.sequence - before}`,
      );
      if (changes.length > 0) ledger.goBack(state - 1);
    } else if (changes.length > 0) {
      must(
        !this.life.isReadOnly && !this.#hasFailed,
        () => "a write was accepted after one had failed",
      );
    }
    return this.#acknowledged(promise, life, () => {
      must(
        isAccepted,
        () => "a write was acknowledged that was never accepted",
      );
      this.trace.number(state);
      if (changes.length === 0 || this.#life !== life) return;
      must(
        durability === "buffered" || isDelayed || !this.#hasFailed,
        () => "a sync was acknowledged after something had failed",
      );
      ledger.acknowledged(state, durability);
    });
  }

  /** Whether a write or sync of a log or manifest has failed, and whoever waits been told. */
  get #hasFailed(): boolean {
    const { steps } = this.scheduler;
    return ["log", "manifest"].some((kind) =>
      (this.#poisoned.get(kind) ?? Infinity) < steps
    );
  }

  #acknowledged(
    promise: Promise<void>,
    life: Life,
    onSuccess: () => void,
  ): Promise<void> {
    const watched = promise.then(() => {
      if (!life.process.isDead) onSuccess();
    }, (error) => {
      if (!life.process.isDead) this.excuse(error);
    }).catch((error) => {
      if (life.process.isDead) return;
      this.#violation ??= error instanceof Violation
        ? error
        : new Violation(describeError(error));
    });
    life.pending.add(watched);
    watched.then(() => life.pending.delete(watched));
    return watched;
  }

  /** Waits for a maintenance call; `makesDurable` says that afterwards everything accepted before it is durable. */
  maintain(
    call: Promise<unknown>,
    makesDurable: boolean,
  ): Promise<void> {
    const accepted = this.ledger.last;
    const { life } = this;
    return this.#acknowledged(call.then(() => {}), life, () => {
      if (makesDurable && this.#life === life) {
        this.ledger.acknowledged(accepted, "sync");
      }
    });
  }

  /** Waits for everything that is under way. */
  async settle(): Promise<void> {
    while (this.life.pending.size > 0) {
      await this.live(Promise.all(this.life.pending));
    }
  }

  // The end.

  async #finish(): Promise<void> {
    const { ledger, dice } = this;
    this.note("the end");
    await this.settle();
    await this.close();
    this.faults.heal();
    const calm = dice.stream("the end");
    await this.open(calm);
    checkEverything(this.life.db, ledger.model);
    await this.#compactToTheEnd();
    await this.live(this.life.db.majorCompact());
    checkEverything(this.life.db, ledger.model);
    await this.live(this.scheduler.idle());
    const { levels, frozenCount } = this.life.db.stats();
    const entries = levels.reduce((sum, level) => sum + level.entries, 0);
    must(
      entries === ledger.model.size && frozenCount === 0,
      () => `${entries} entries are left of ${ledger.model.size}`,
    );
    await this.close();
    await this.open(calm);
    checkEverything(this.life.db, ledger.model);
    await this.close();
    this.trace.number(this.disk.hash());
  }

  /** There comes a time when nothing is left to be merged. */
  async #compactToTheEnd(): Promise<void> {
    const { db } = this.life;
    await this.live(this.scheduler.idle());
    for (let rounds = 0; await this.live(db.minorCompact()); rounds++) {
      must(rounds < 1000, () => "merges without end");
    }
    for (let rounds = 0; await this.live(db.tombstoneCompact()); rounds++) {
      must(rounds < 1000, () => "merges of tombstones without end");
    }
  }

  /** Writes down what happens. */
  note(line: string): void {
    this.trace.line(line);
  }

  /** A value like no other, of so many bytes. */
  newValue(length: number): Uint8Array {
    const stamp = this.stamp++;
    const value = new Uint8Array(length);
    for (let i = 0; i < length; i++) {
      value[i] = i < 4 ? stamp >>> (8 * i) : stamp * 31 + i * 7;
    }
    return value;
  }
}

/**
 * Failures that may go unnoticed: a file that was to be removed, perhaps after
 * a look whether it is there, is gone after the next opening; what was read is
 * compared with the model; and what a reader thread's timer could not see of
 * the manifest, its next read looks at from the start.
 */
function isHarmless({ operation, fault, isInTimer }: Hit): boolean {
  const { kind } = operation;
  const file = fileKindOf(operation);
  const isRemoval = kind === "remove" || kind === "stat" && file === "table";
  const isGlance = isInTimer && file === "manifest" &&
    (kind === "read" || kind === "open");
  return isRemoval || isGlance || fault.kind === "flipOnRead" ||
    fault.kind === "shortRead";
}

/** Whether flushes and compactions do this. While the database is closed they are given up without a word: the logs have everything. */
function isOfJobs(operation: DiskOperation): boolean {
  return fileKindOf(operation) === "table" ||
    operation.kind === "syncDirectory";
}

/** The code of an error. */
export function codeOf(error: unknown): string {
  return error instanceof VarveError ? error.code : String(error);
}

/** An error with where it comes from. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}
