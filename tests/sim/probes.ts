/**
 * What could have happened: at moments of a run its disk is forked, and the
 * fork comes to harm, is opened, checked and thrown away. The run goes on as
 * if nothing had been.
 *
 * - A crash state: the power fails, or the process dies, before a change of
 *   the disk; perhaps again and again during recovery.
 * - Damage: a bit flipped in a file of a database that was closed, or whose
 *   process died, or bytes of another place where its own should be. What is
 *   read must be right, or `CORRUPTION`. Only what a log holds that nobody has
 *   said to be synced may be taken for a lost tail; only the last record of a
 *   manifest may be taken for a torn one, and then no file goes.
 *
 * @module
 */
import { type Db, type Options, VarveError } from "../../mod.ts";
import { getU32 } from "../../lib/encoding/fixed.ts";
import { LOG_HEADER_LENGTH } from "../../lib/wal/format.ts";
import { openWith } from "../open.ts";
import type { Disk, DiskOperation, Fault, ListedFile } from "./disk.ts";
import { faultsFor } from "./faults.ts";
import type { Crash, Ledger, Window } from "./ledger.ts";
import { type Model, rowOf, toBytes } from "./model.ts";
import { randomOptions, withOtherStrategy } from "./options.ts";
import {
  checkEverything,
  checkLetGo,
  checkRow,
  checkValue,
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
import { describeError, type Run, type RunPlan } from "./run.ts";
import { Scheduler } from "./scheduler.ts";
import { Trace } from "./trace.ts";

/** How much is tried. */
export interface ProbePlan {
  /** The share of the disk's changes before which a crash is tried, 0 to 1. */
  readonly crashes: number;
  /** How often a file is damaged after each closing. */
  readonly damages: number;
}

/** What was tried. */
export interface ProbeCounts {
  crashStates: number;
  /** Those in which a recovery crashed, too. */
  doubleCrashes: number;
  /** Those in which a recovery met a failure. */
  failingOpens: number;
  flippedBits: number;
  strayedWrites: number;
  /** Files that were cut short. */
  cuts: number;
  /** Damage that something was said of. */
  damageNoticed: number;
}

interface Probe {
  readonly name: string;
  readonly disk: Disk;
  readonly options: Options;
  readonly ledger: Ledger;
  readonly crash: Crash | undefined;
  readonly window: Window;
  /** If it is to be damaged: what of the log must be spared. */
  readonly tail?: Tail;
  /** Where writes went that may come to stand in each other's place. */
  readonly writes?: readonly Written[];
}

/** A write, so far as misdirecting it goes. */
type Written = Required<Pick<DiskOperation, "path" | "position" | "length">>;

/** The log that may have lost its end. */
interface Tail {
  /** Its path; "" while nothing was written to it. */
  readonly path: string;
  /** Where its last group starts. */
  readonly position: number;
  /** States up to here are durable, and the last group says so. */
  readonly marked: number;
  /** States up to here are durable, and the manifest says so. */
  readonly opened: number;
}

/** Writes that are remembered. */
const WRITES_MOST = 40;

/** Changes of the disk within which a crash during recovery comes. */
const RECOVERY_CHANGES = 30;

/** See the head of this file. */
export class Probes {
  readonly counts: ProbeCounts = {
    crashStates: 0,
    doubleCrashes: 0,
    failingOpens: 0,
    flippedBits: 0,
    strayedWrites: 0,
    cuts: 0,
    damageNoticed: 0,
  };
  readonly #plan: ProbePlan;
  readonly #dice: SeededDice;
  #waiting: Probe[] = [];
  #taken = 0;
  #tail: Tail = { path: "", position: 0, marked: 0, opened: 0 };
  #opens = 0;
  #writes: Written[] = [];

  constructor(seed: number, plan: ProbePlan) {
    this.#plan = plan;
    this.#dice = new SeededDice(seed).stream("probes");
  }

  /** Before a change of the disk. */
  onMutation(run: Run, operation: DiskOperation): void {
    this.#crash(run, operation);
    if (operation.kind === "write") this.#noteWrite(run, operation);
  }

  #crash(run: Run, { kind, path, index }: DiskOperation): void {
    const dice = this.#dice;
    if (!dice.chance(this.#plan.crashes)) return;
    const crash = dice.chance(0.8) ? "power loss" : "process death";
    const isSound = run.isOpen && run.faults.hits.length === 0 &&
      !run.ledger.isCacheSuspect && run.counts.opens === this.#opens;
    const isDamaged = crash === "process death" && isSound && dice.chance(0.6);
    this.#waiting.push({
      name: `${crash} before operation ${index}, ${kind} ${path}`,
      disk: run.disk.fork(),
      options: run.options,
      ledger: run.ledger.copy(),
      crash,
      window: run.window(crash),
      ...isDamaged ? { tail: this.#tail, writes: [...this.#writes] } : {},
    });
  }

  /** The next group of a log says what was synced before. What is written while opening stays out of this. */
  #noteWrite(
    run: Run,
    { path, position = 0, length = 0, isFiller }: DiskOperation,
  ): void {
    this.#writes.push({ path, position, length });
    if (this.#writes.length > WRITES_MOST) this.#writes.shift();
    if (!run.isOpen) return;
    const isFirst = run.counts.opens !== this.#opens;
    this.#opens = run.counts.opens;
    const marked = run.ledger.durable;
    const opened = isFirst ? marked : this.#tail.opened;
    // What is damaged with filler behind it is no less the end of the log.
    const isGroup = path.endsWith(".vlog") && position > 0 && !isFiller;
    if (isGroup) this.#tail = { path, position, marked, opened };
    else if (isFirst) this.#tail = { path: "", position: 0, marked, opened };
  }

  /** After the database was closed. */
  onClosed(run: Run): void {
    const { last } = run.ledger;
    for (let i = 0; i < this.#plan.damages; i++) {
      this.#waiting.push({
        name: "damage",
        disk: run.disk.fork(),
        options: run.options,
        ledger: run.ledger.copy(),
        crash: undefined,
        window: { first: last, last },
        writes: [...this.#writes],
      });
    }
  }

  /** Tries what is waiting. */
  onQuiet(run: Run): Promise<void> | undefined {
    return this.#waiting.length === 0 ? undefined : this.#tryAll(run);
  }

  async #tryAll(run: Run): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const probe of waiting) {
      const dice = this.#dice.stream("probe", this.#taken++);
      const attempt = new Attempt(probe, dice, run, this.counts);
      await attempt.run();
      run.trace.text(attempt.trace.hash);
    }
  }
}

/** Bytes in front of each record of a manifest; at 8 stands the length of what follows. */
const RECORD_HEADER_LENGTH = 12;
const CURRENT_PATH = `${PATH}/CURRENT`;

/** The manifest that counts, up to its last record, or with it if it is the first: what is damaged there cannot be taken for a torn end. */
function soundManifest(disk: Disk): Pick<Written, "path" | "length"> {
  const text = String.fromCharCode(...disk.readFile(CURRENT_PATH));
  const [, number, first] = /manifest (\d+) snapshot (\d+)/.exec(text) ?? [];
  const path = `${PATH}/MANIFEST-${number.padStart(6, "0")}`;
  const bytes = disk.readFile(path);
  let length = Number(first);
  for (let next = length; next < bytes.length;) {
    length = next;
    next += RECORD_HEADER_LENGTH + getU32(bytes, next + 8);
  }
  return { path, length };
}

/** One fork, from its harm to its end. */
class Attempt {
  readonly trace: Trace;
  readonly #probe: Probe;
  readonly #dice: SeededDice;
  readonly #counts: ProbeCounts;
  readonly #sabotage: RunPlan["sabotage"];
  /** Fails operations of an opening. */
  #strike: ((operation: DiskOperation) => Fault | undefined) | undefined;
  readonly #scheduler: Scheduler;
  #process: SimulatedProcess;
  #window: Window;
  #history: string[] = [];
  /** Changes until the process ends. */
  #left = Infinity;

  constructor(probe: Probe, dice: SeededDice, run: Run, counts: ProbeCounts) {
    this.#probe = probe;
    this.#dice = dice;
    this.#counts = counts;
    this.#sabotage = run.plan.sabotage;
    this.#window = probe.window;
    this.trace = new Trace(
      run.trace.isPrinted
        ? (line) => run.plan.print?.(`  | ${line}`)
        : undefined,
    );
    this.#scheduler = new Scheduler(dice.stream("scheduler"));
    this.#process = this.#boot();
    this.#note(probe.name);
  }

  async run(): Promise<void> {
    try {
      const { crash, tail } = this.#probe;
      if (crash === undefined || tail !== undefined) await this.#damage();
      else await this.#crash(crash);
    } catch (error) {
      throw new Violation(
        `${this.#history.join("; ")}: ${describeError(error)}`,
      );
    }
  }

  #note(line: string): void {
    this.#history.push(line);
    this.trace.line(line);
  }

  #boot(): SimulatedProcess {
    this.#process = new SimulatedProcess({
      disk: this.#probe.disk,
      scheduler: this.#scheduler,
      dice: this.#dice.stream("process", this.#history.length),
      trace: this.trace,
      hooks: {
        before: (operation) => {
          if (operation.mutates && this.#left-- <= 0) {
            this.#probe.disk.killProcess();
          }
          return this.#strike?.(operation) ?? this.#sabotage?.(operation);
        },
      },
    });
    this.#scheduler.dropDead();
    return this.#process;
  }

  /** What `promise` comes to, in simulated time. */
  #wait<T>(promise: Promise<T>): Promise<T> {
    return this.#scheduler.runUntil(promise);
  }

  // Crashes.

  async #crash(crash: Crash): Promise<void> {
    const dice = this.#dice;
    this.#counts.crashStates++;
    if (crash === "power loss") this.#losePower();
    else this.#probe.disk.killProcess();
    if (dice.chance(0.15)) await this.#openFailing();
    if (dice.chance(0.4)) this.#counts.doubleCrashes++;
    else return await this.#recover();
    do await this.#crashAgain(); while (dice.chance(0.4));
    await this.#recover();
  }

  #losePower(): void {
    const mode = this.#dice.pick(
      ["any", "any", "lose-all", "keep-all"] as const,
    );
    this.#note(mode);
    this.#probe.disk.powerLoss(this.#dice, mode);
  }

  /** Opens, and crashes meanwhile or soon after. */
  async #crashAgain(): Promise<void> {
    const dice = this.#dice;
    this.#left = dice.below(RECOVERY_CHANGES);
    this.#note(`again after ${this.#left} changes`);
    const { runtime } = this.#boot();
    const opening = openWith(runtime, PATH, this.#probe.options);
    const opened = this.#wait(opening);
    try {
      const db = await opened;
      // What an opening has shown stays, so let somebody look now and then.
      if (dice.chance(0.5)) this.#look(db);
    } catch (error) {
      if (!this.#process.isDead) throw error;
    }
    this.#left = Infinity;
    if (dice.chance(0.7)) {
      this.#losePower();
      this.#lowerWindow();
    } else this.#probe.disk.killProcess();
  }

  /** Opens while an operation fails: that may go wrong, but not unnoticed. */
  async #openFailing(): Promise<void> {
    const dice = this.#dice;
    let left = dice.below(40);
    let fault: Fault | undefined;
    this.#strike = (operation) => {
      if (fault !== undefined || left-- > 0) return undefined;
      this.#note(`${operation.kind} ${operation.path} fails`);
      fault = dice.pick(faultsFor(operation));
      // It looks like a lost tail, for all that can be told.
      const isTail = fault.kind === "flipOnRead" &&
        operation.path.endsWith(".vlog");
      if (isTail) this.#window = { ...this.#window, first: 0 };
      return fault;
    };
    const { runtime, files } = this.#boot();
    this.#counts.failingOpens++;
    let isOpen = false;
    try {
      const opening = openWith(runtime, PATH, this.#probe.options);
      const db = await this.#wait(opening);
      isOpen = true;
      this.#look(db);
    } catch (error) {
      const code = error instanceof VarveError ? error.code : "none";
      const isRead = fault?.kind === "flipOnRead" ||
        fault?.kind === "shortRead";
      const isTold = code === "IO" || code === "CORRUPTION" && isRead;
      if (fault === undefined || !isTold) throw error;
    }
    if (!isOpen) checkLetGo(files);
    this.#strike = undefined;
    this.#probe.disk.killProcess();
  }

  /** The power is gone as well: what was only written counts no more, unless an opening has shown it. */
  #lowerWindow(): void {
    if (this.#hasShown || this.#probe.crash === "power loss") return;
    const { durable } = this.#probe.ledger;
    this.#window = { ...this.#window, first: durable };
  }

  #hasShown = false;

  /** Reads which state it is; from now on it is that one. */
  #look(db: Db): void {
    const { ledger } = this.#probe;
    const { lastSequence } = db.stats();
    const state = stateOf(db, ledger, this.#window, lastSequence);
    this.#window = { first: state, last: state };
    this.#hasShown = true;
    this.#note(`state ${state}`);
  }

  async #recover(): Promise<void> {
    const dice = this.#dice;
    const fate = dice.below(10);
    const options = fate < 2
      ? randomOptions(dice)
      : fate < 4
      ? withOtherStrategy(this.#probe.options)
      : this.#probe.options;
    let db = await this.#open(options);
    if (dice.chance(0.25)) {
      this.#note("lost again, right behind opening");
      this.#probe.disk.powerLoss(dice, "lose-all");
      db = await this.#open(options);
    }
    const model = this.#probe.ledger.modelAt(this.#window.first);
    checkEverything(db, model);
    const goesOn = dice.chance(0.3);
    if (goesOn) db = await this.#goOn(db, model);
    // All that was shown is durable, and the manifest says so.
    else if (dice.chance(0.15)) return await this.#damage();
    if (dice.chance(0.3)) {
      await this.#close(db);
      const { runtime } = this.#boot();
      const again = await this.#wait(openWith(runtime, PATH, options));
      checkEverything(again, model);
    }
    this.#probe.disk.killProcess();
  }

  async #open(options: Options): Promise<Db> {
    for (let attempt = 0;; attempt++) {
      const { runtime } = this.#boot();
      const db = await this.#wait(openWith(runtime, PATH, options));
      this.#look(db);
      const { disk } = this.#probe;
      const { made } = this.#process;
      const orphans = await orphansLeft(
        () => orphansOf(disk, db.stats(), made),
        () => this.#wait(this.#scheduler.idle()),
      );
      if (orphans.length === 0) return db;
      // Behind a manifest whose end was torn, an opening removes nothing.
      must(attempt === 0, () => `not removed: ${orphans.join(" ")}`);
      await this.#close(db);
    }
  }

  async #close(db: Db): Promise<void> {
    await this.#wait(db.close());
    checkLetGo(this.#process.files);
  }

  /** The database can be used on. */
  async #goOn(db: Db, model: Model): Promise<Db> {
    this.#note("going on");
    const dice = this.#dice;
    const key = someKeys(model, dice, 1)[0] ?? "";
    const durability = "sync";
    const writes = [
      db.put("new", "value", { durability }),
      db.delete(toBytes(key), { durability }),
      db.deleteRange("k2", "k3", { durability }),
    ];
    model.apply({ type: "put", row: rowOf("new", toBytes("value")) });
    model.apply({ type: "delete", key });
    model.apply({ type: "deleteRange", start: "k2", end: "k3" });
    await this.#wait(Promise.all(writes));
    checkEverything(db, model);
    const fate = dice.below(4);
    if (fate < 2) {
      if (fate === 0) await this.#wait(db.majorCompact());
      else for (let i = 0; i < 2; i++) await this.#wait(db.minorCompact());
      checkEverything(db, model);
    }
    if (dice.chance(0.5)) return db;
    this.#note("lost again, behind new writes");
    this.#probe.disk.powerLoss(dice, "lose-all");
    const { runtime } = this.#boot();
    const found = await this.#wait(
      openWith(runtime, PATH, this.#probe.options),
    );
    checkEverything(found, model);
    return found;
  }

  // Damage.

  async #damage(): Promise<void> {
    const { crash } = this.#probe;
    if (crash !== undefined) this.#probe.disk.killProcess();
    const fate = this.#dice.below(10);
    const manifest = soundManifest(this.#probe.disk);
    const place = fate < 6
      ? this.#flip()
      : fate < 8
      ? this.#stray()
      : this.#cut();
    if (place === undefined) return;
    const first = Math.min(this.#window.first, this.#leastBehind(place));
    this.#window = { ...this.#window, first };
    const isSound = place.path === CURRENT_PATH ||
      place.path === manifest.path &&
        place.position + place.length <= manifest.length;
    const isTorn = place.path === manifest.path && !isSound;
    if (await this.#isNoticed(isTorn)) this.#counts.damageNoticed++;
    else must(!isSound, () => "nobody noticed it");
  }

  /** The least state that damage can be taken for a lost tail down to. */
  #leastBehind({ path, position, length }: Written): number {
    const { tail } = this.#probe;
    const end = position + length;
    if (path !== tail?.path || end <= LOG_HEADER_LENGTH) return Infinity;
    // Whatever says how far the log was synced may be gone.
    if (position < tail.position && end > tail.position) return tail.opened;
    return tail.marked;
  }

  #anyFile(): ListedFile {
    const files = this.#probe.disk.list().filter(({ length }) => length > 0);
    return this.#dice.pick(files);
  }

  #flip(): Written {
    const { path, position, length } = this.#anySpan();
    const bit = position * 8 + this.#dice.below(length * 8);
    this.#probe.disk.flipBit(path, bit);
    this.#note(`bit ${bit} of ${path}`);
    this.#counts.flippedBits++;
    return { path, position: Math.floor(bit / 8), length: 1 };
  }

  /** A whole file, its header, which is small and says much, something that was written of late, or the end of the manifest. */
  #anySpan(): Written {
    const fate = this.#dice.below(4);
    if (fate === 0) return this.#anyWrite();
    if (fate === 3) {
      const { disk } = this.#probe;
      const { path, length: position } = soundManifest(disk);
      const length = disk.readFile(path).length - position;
      if (length > 0) return { path, position, length };
    }
    const { path, length } = this.#anyFile();
    const reach = fate === 1 ? Math.min(length, 64) : length;
    return { path, position: 0, length: reach };
  }

  /** A log or table becomes shorter, with luck by whole writes. */
  #cut(): Written | undefined {
    const { disk } = this.#probe;
    const { path, position } = this.#dice.chance(0.5)
      ? this.#anyWrite()
      : this.#anyGroup();
    if (!/\.v(log|tab)$/.test(path)) return undefined;
    const bytes = disk.readFile(path);
    disk.writeFile(path, bytes.subarray(0, position));
    this.#note(`${path} is cut at ${position}`);
    this.#counts.cuts++;
    return { path, position, length: bytes.length - position };
  }

  /** Where a group of a log starts, often its first. */
  #anyGroup(): Written {
    const logs = this.#probe.disk.list().filter(({ path, length }) =>
      path.endsWith(".vlog") && length > LOG_HEADER_LENGTH
    );
    const firsts = logs.map(({ path, length }): Written => {
      return { path, position: LOG_HEADER_LENGTH, length };
    });
    const others = this.#wholeWrites().filter(({ path, position }) =>
      path.endsWith(".vlog") && position > 0
    );
    const groups = [...firsts, ...others];
    return groups.length > 0 ? this.#dice.pick(groups) : this.#anyWrite();
  }

  #wholeWrites(): Written[] {
    const { disk, writes = [] } = this.#probe;
    const sizes = new Map(disk.list().map((file) => [file.path, file.length]));
    return writes.filter(({ path, position, length }) =>
      length > 0 && position + length <= (sizes.get(path) ?? 0)
    );
  }

  /** A write that can have gone astray: whole, with luck, and to where another one began. */
  #anyWrite(near?: Written): Written {
    const dice = this.#dice;
    const whole = this.#wholeWrites();
    const same = whole.filter((write) => write.path === near?.path);
    if (same.length > 1 && dice.chance(0.6)) return dice.pick(same);
    if (whole.length > 1 && dice.chance(0.7)) return dice.pick(whole);
    const { path, length } = this.#anyFile();
    const position = dice.below(length);
    return { path, position, length: 1 + dice.below(length - position) };
  }

  /** Bytes of one place over those of another; returns where that changed any. */
  #stray(): Written | undefined {
    const { disk } = this.#probe;
    const from = this.#anyWrite();
    const to = this.#anyWrite(from);
    const source = disk.readFile(from.path).subarray(from.position);
    const target = disk.readFile(to.path);
    const { path, position } = to;
    const length = Math.min(from.length, target.length - position);
    const before = target.slice();
    target.set(source.subarray(0, length), position);
    const isChanged = (byte: number, i: number) => byte !== before[i];
    const start = target.findIndex(isChanged);
    if (start < 0) return undefined;
    disk.writeFile(path, target);
    this.#note(
      `${length} bytes of ${from.path} from ${from.position} at ${position} of ${path}`,
    );
    this.#counts.strayedWrites++;
    const end = target.findLastIndex(isChanged) + 1;
    return { path, position: start, length: end - start };
  }

  /**
   * Opens and reads what is damaged; returns whether `CORRUPTION` was said.
   *
   * @param isTorn Whether the last record of the manifest is damaged.
   */
  async #isNoticed(isTorn: boolean): Promise<boolean> {
    const { options } = this.#probe;
    const dice = this.#dice;
    const removed: string[] = [];
    let [hasCurrent, isOver] = [false, false];
    this.#strike = ({ kind, path }) => {
      // Once CURRENT is there, the next to be written is a job's, which may remove its inputs.
      if (kind === "rename") hasCurrent = true;
      isOver ||= hasCurrent && kind === "write";
      const isOfOpening = kind === "remove" && !isOver;
      if (isOfOpening && !path.endsWith(".tmp")) removed.push(path);
      return undefined;
    };
    const { runtime, files: booted } = this.#boot();
    const checkNoneGone = () =>
      must(removed.length === 0, () => `it removes ${removed.join(" ")}`);
    let db: Db;
    try {
      db = await this.#wait(openWith(runtime, PATH, options));
    } catch (error) {
      this.#noticed(error);
      checkNoneGone(); // Whoever is to mend it may want them.
      checkLetGo(booted);
      return true;
    }
    if (isTorn) checkNoneGone();
    this.#strike = undefined;
    const model = this.#modelOf(db);
    let isNoticed = model === undefined;
    if (model !== undefined) {
      isNoticed = this.#readDamaged(db, model);
      if (dice.chance(0.5)) {
        await this.#wait(db.majorCompact()).catch((error) =>
          this.#noticed(error)
        );
        this.#readDamaged(db, model);
      }
    }
    await this.#close(db);
    return isNoticed;
  }

  /** What must be read; `undefined` if damage keeps it from being told. */
  #modelOf(db: Db): Model | undefined {
    const { ledger, crash } = this.#probe;
    if (crash === undefined) return ledger.model;
    try {
      const { lastSequence } = db.stats();
      return ledger.modelAt(stateOf(db, ledger, this.#window, lastSequence));
    } catch (error) {
      this.#noticed(error);
      return undefined;
    }
  }

  #noticed(error: unknown): void {
    const isTold = error instanceof VarveError && error.code === "CORRUPTION";
    if (!isTold) throw error;
    this.#note("CORRUPTION");
  }

  /** Reads everything, which is right or `CORRUPTION`; returns whether it was said. */
  #readDamaged(db: Db, model: Model): boolean {
    let isNoticed = false;
    const attempt = (read: () => void) => {
      try {
        read();
      } catch (error) {
        this.#noticed(error);
        isNoticed = true;
      }
    };
    for (const { key } of model.all) {
      attempt(() => checkValue(key, db.get(toBytes(key)), model));
    }
    for (const reverse of [false, true]) {
      const rows = model.rows({}, reverse, Infinity);
      attempt(() => {
        let at = 0;
        for (const [key, value] of db.scan({ reverse })) {
          checkRow(rows[at++], key, value);
        }
        must(at === rows.length, () => "a scan ended early");
      });
    }
    return isNoticed;
  }
}
