/**
 * The control block: what the owner of a database and its reader threads tell
 * each other, in one SharedArrayBuffer.
 *
 * ```
 * word 0        magic
 *      1        version of the state: even, odd while it is written, -1 once
 *               the database is closed
 *      2        published sequence, low word
 *      3        horizon: raised before the owner reads the cells
 *      32       the last token given to a lease
 *      33       no less than the cells in use
 *      64...    the state, as doubles: sequence base (what the low word is
 *               added to), manifest number, manifest length, number of
 *               memtables, then for each, newest first: its arena, the
 *               arena's use, lowest and highest sequence (0: still filled)
 *      ...      uses: which memtable each arena holds
 *      ...      leases, 128 bytes each: token (0: free) and, in one with it,
 *               what the reader is called in the block cache; counter
 *      ...      cells: token of the lease (0: free, -1: lost), sequence low
 *               and high, the token again once the sequence is there to stay
 * ```
 *
 * What different threads write often lies 128 bytes apart: processors fetch
 * lines of 64 bytes in pairs.
 *
 * Invariants:
 * - Only the owner writes, except that readers claim leases and cells, raise
 *   their own counters and the count of cells, and let go.
 * - The state is a seqlock (C. Lameter, "Effective Synchronization on
 *   Linux/NUMA Systems", 2005): who reads between two equal, even versions
 *   has read what belongs together.
 * - A sequence is published after everything up to it is in the memtables of
 *   the state; a change of the state is published before the files and arenas
 *   that it makes superfluous go.
 * - The use of an arena changes before its content does.
 * - A cell is stored before the horizon is seen unchanged since before its
 *   sequence was read. So either the owner sees the cell, or the reader's
 *   sequence is no older than all that the owner's job has merged. That holds
 *   for the sequence published last and for no older one: a moment stays in
 *   its cell until nobody needs it.
 * - A thread may stand still between any two steps, and go on when its lease
 *   is another's. A cell that is taken back before its sequence is there to
 *   stay is lost: it may yet be written to.
 *
 * Ordinary stores may be seen before an earlier atomic store, and an atomic
 * load before an earlier ordinary one is done (on ARM; x86 keeps both in
 * order). An atomic store followed by an atomic load keeps everything before
 * and behind the pair apart: {@linkcode fence}.
 *
 * @module
 */
import { VarveError } from "../errors.ts";
import { HIGH_UNIT } from "../memtable/arena.ts";

const MAGIC = 0x3156_5256;
const MAGIC_WORD = 0;
/** Word: version of the state. */
export const VERSION = 1;
const SEQUENCE_LOW = 2;
const HORIZON = 3;
const LAST_TOKEN = 32;
const CELLS_IN_USE = 33;
const STATE_WORD = 64;
const STATE = STATE_WORD / 2;
const STATE_HEADER = 4;
const MEMTABLE_FIELDS = 4;
const LEASE_WORDS = 32;
const LEASES = 256;
/** Of a lease: where its counter is. */
const SIGN = 2;
const CELL_WORDS = 4;
/** Of a cell: where the token is once more when the sequence is there to stay. */
const FILLED = 3;
const CELLS = 4096;
/** The token of a cell that is never used again. */
const LOST = -1;
/** The version of a closed database. */
export const CLOSED_VERSION = -1;
/** How long a reader waits for the owner to finish writing the state. The owner takes microseconds, if it runs. */
const STATE_WAIT_MILLISECONDS = 10_000;

/** A memtable that readers can see. */
export interface ListedMemtable {
  /** The place of its arena in the handle. */
  readonly arena: number;
  /** What tells it from other memtables in that arena. */
  readonly use: number;
  /** Its lowest sequence. */
  readonly oldest: number;
  /** Its highest sequence; 0 while it is filled. */
  readonly newest: number;
}

/** What readers read from. */
export interface SharedState {
  /** The manifest that has the tables. */
  readonly manifest: number;
  /** Up to where it is committed. */
  readonly manifestLength: number;
  /** Memtables, newest first. */
  readonly memtables: readonly ListedMemtable[];
}

/** The state as readers find it. */
export interface PublishedState extends SharedState {
  /** What the low word of the published sequence is added to. */
  readonly sequenceBase: number;
}

/** The control block, for either side. */
export class ControlBlock {
  /** The memory. */
  readonly memory: SharedArrayBuffer;
  /** The memory as words. */
  readonly words: Int32Array;
  /** How many memtables the state can name. */
  readonly memtablesMax: number;
  /** The first word of the uses of arenas. */
  readonly uses: number;
  private readonly state: Float64Array;
  /** The memory in pairs of words. */
  private readonly pairs: BigInt64Array;
  private readonly leases: number;
  private readonly cells: number;

  /** The control block in `memory`, which {@linkcode makeControlMemory} made. */
  constructor(memory: SharedArrayBuffer, memtablesMax: number, arenas: number) {
    this.memory = memory;
    this.words = new Int32Array(memory);
    this.state = new Float64Array(memory);
    this.pairs = new BigInt64Array(memory);
    this.memtablesMax = memtablesMax;
    this.uses = usesWord(memtablesMax);
    this.leases = leasesWord(memtablesMax, arenas);
    this.cells = this.leases + LEASES * LEASE_WORDS;
  }

  /** Whether the memory is a control block. */
  get isOne(): boolean {
    return this.words[MAGIC_WORD] === MAGIC;
  }

  // The state.

  /** Publishes a state, and a sequence with it. Whatever the caller writes afterwards is seen by nobody who still trusts the state before. */
  publish(state: SharedState, sequence: number): void {
    const { words, state: fields } = this;
    const version = words[VERSION];
    fence(words, VERSION, version | 1);
    const low = sequence % HIGH_UNIT;
    fields[STATE] = sequence - low;
    fields[STATE + 1] = state.manifest;
    fields[STATE + 2] = state.manifestLength;
    fields[STATE + 3] = state.memtables.length;
    let at = STATE + STATE_HEADER;
    for (const { arena, use, oldest, newest } of state.memtables) {
      fields[at] = arena;
      fields[at + 1] = use;
      fields[at + 2] = oldest;
      fields[at + 3] = newest;
      at += MEMTABLE_FIELDS;
    }
    Atomics.store(words, SEQUENCE_LOW, low | 0);
    fence(words, VERSION, (version + 2) & 0x7fff_fffe);
  }

  /** Tells every reader that the database is closed. */
  close(): void {
    Atomics.store(this.words, VERSION, CLOSED_VERSION);
  }

  /** The version of the state, once it is not being written; {@linkcode CLOSED_VERSION} if there is none any more. */
  settledVersion(): number {
    const { words } = this;
    let version = Atomics.load(words, VERSION);
    for (let waited = 0; (version & 1) !== 0; waited++) {
      if (version === CLOSED_VERSION) return version;
      if (waited === STATE_WAIT_MILLISECONDS) {
        throw new VarveError(
          "CLOSED",
          "the thread that opened the database seems to be gone",
        );
      }
      Atomics.wait(words, VERSION, version, 1);
      version = Atomics.load(words, VERSION);
    }
    return version;
  }

  /** The state. It counts only if the version is the same before and afterwards. */
  readState(): PublishedState {
    const { state: fields } = this;
    const count = Math.min(fields[STATE + 3], this.memtablesMax);
    const memtables: ListedMemtable[] = [];
    for (let i = 0; i < count; i++) {
      const at = STATE + STATE_HEADER + i * MEMTABLE_FIELDS;
      memtables.push({
        arena: fields[at],
        use: fields[at + 1],
        oldest: fields[at + 2],
        newest: fields[at + 3],
      });
    }
    return {
      sequenceBase: fields[STATE],
      manifest: fields[STATE + 1],
      manifestLength: fields[STATE + 2],
      memtables,
    };
  }

  // The sequence.

  /** Publishes the low word of a sequence whose base the state has. */
  publishSequence(sequence: number): void {
    Atomics.store(this.words, SEQUENCE_LOW, sequence | 0);
  }

  /** The published sequence, less its base. */
  sequenceLow(): number {
    return Atomics.load(this.words, SEQUENCE_LOW) >>> 0;
  }

  // Leases.

  /** Claims a lease for a reader that the block cache calls `holder`; throws `BUSY` if none is free. */
  claimLease(holder: number): Lease {
    const token = this.newToken();
    const claim = pairOf(token, holder);
    for (let i = 0; i < LEASES; i++) {
      const word = this.leaseWord(i);
      if (Atomics.compareExchange(this.pairs, word / 2, 0n, claim) === 0n) {
        return { word, token, sign: word + SIGN };
      }
    }
    throw new VarveError(
      "BUSY",
      `the database has ${LEASES} readers already; close some`,
    );
  }

  private newToken(): number {
    for (;;) {
      const token = (Atomics.add(this.words, LAST_TOKEN, 1) + 1) | 0;
      if (token !== 0 && token !== LOST) return token;
    }
  }

  private leaseWord(i: number): number {
    return this.leases + i * LEASE_WORDS;
  }

  /** Whether a lease has not expired. */
  isLeased({ word, token }: Lease): boolean {
    return Atomics.load(this.words, word) === token;
  }

  /** Ends a lease and takes back every cell that was claimed with it; returns whether it had not ended before. */
  endLease({ word, token }: Lease): boolean {
    const { pairs } = this;
    const claim = Atomics.load(pairs, word / 2);
    if (tokenOf(claim) !== token) return false;
    if (Atomics.compareExchange(pairs, word / 2, claim, 0n) !== claim) {
      return false;
    }
    for (let i = 0; i < CELLS; i++) this.takeBack(this.cellWord(i), token);
    return true;
  }

  /** The leases that are claimed, with their counters. */
  listLeases(): ListedLease[] {
    const list: ListedLease[] = [];
    for (let i = 0; i < LEASES; i++) {
      const word = this.leaseWord(i);
      const claim = Atomics.load(this.pairs, word / 2);
      const token = tokenOf(claim);
      if (token === 0) continue;
      const sign = word + SIGN;
      const counter = Atomics.load(this.words, sign);
      const lease = { word, token, sign };
      list.push({ lease, counter, holder: holderOf(claim) });
    }
    return list;
  }

  // Cells.

  private cellWord(i: number): number {
    return this.cells + i * CELL_WORDS;
  }

  /**
   * Claims a cell for a lease and stores in it the sequence that `read` gives,
   * which must be the one published last; throws `BUSY` if none is free.
   */
  claimCell(
    token: number,
    read: () => number,
  ): { readonly word: number; readonly sequence: number } {
    const { words } = this;
    // Counted first: one that dies here leaves the count too high, which only costs looking at the cells.
    Atomics.add(words, CELLS_IN_USE, 1);
    for (let i = 0; i < CELLS; i++) {
      const word = this.cellWord(i);
      if (Atomics.compareExchange(words, word, 0, token) !== 0) continue;
      try {
        return { word, sequence: this.fillCell(word, token, read) };
      } catch (error) {
        this.freeCell(word, token);
        throw error;
      }
    }
    Atomics.sub(words, CELLS_IN_USE, 1);
    throw new VarveError(
      "BUSY",
      `reader threads have ${CELLS} snapshots and scans open already; close some`,
    );
  }

  private fillCell(word: number, token: number, read: () => number): number {
    const { words } = this;
    for (;;) {
      const horizon = Atomics.load(words, HORIZON);
      const sequence = read();
      Atomics.store(words, word + 1, sequence | 0);
      Atomics.store(words, word + 2, Math.floor(sequence / HIGH_UNIT));
      if (Atomics.load(words, HORIZON) !== horizon) continue;
      Atomics.store(words, word + FILLED, token);
      return sequence;
    }
  }

  /** Gives a cell back, if the lease still has it. For the thread that claimed it. */
  freeCell(word: number, token: number): void {
    this.leaveCell(word, token, 0);
  }

  /** Takes a cell back, if the lease still has it, from a thread that may be about to store its sequence. */
  private takeBack(word: number, token: number): void {
    const isFilled = Atomics.load(this.words, word + FILLED) === token;
    // mutant cell-being-filled: it may be another's when the sequence is stored
    this.leaveCell(word, token, isFilled ? 0 : LOST);
  }

  private leaveCell(word: number, token: number, next: number): void {
    const { words } = this;
    if (Atomics.compareExchange(words, word, token, next) !== token) return;
    // mutant filled-cells-are-left-empty: a late claim with the same lease would seem filled at once
    Atomics.compareExchange(words, word + FILLED, token, 0);
    Atomics.sub(words, CELLS_IN_USE, 1);
  }

  /**
   * Takes back the cells of leases that have ended: of threads that claimed
   * one although their lease had expired, or died while they freed theirs.
   */
  takeBackStrays(): void {
    const { words } = this;
    const cells = this.usedCells();
    const tokens = cells.map((word) => Atomics.load(words, word));
    // Read behind the cells: whoever had one then and is alive is listed.
    const leases = new Set(this.listLeases().map(({ lease }) => lease.token));
    cells.forEach((word, i) => {
      const token = tokens[i];
      const isFree = token === 0 || token === LOST; // Since it was found.
      if (!isFree && !leases.has(token)) this.takeBack(word, token);
    });
  }

  /** The sequences in cells: what is stored in one from now on is no older than what was published when this was called. */
  readCells(): number[] {
    const { words } = this;
    Atomics.add(words, HORIZON, 1);
    return this.usedCells().map((word) => {
      const low = Atomics.load(words, word + 1) >>> 0;
      return Atomics.load(words, word + 2) * HIGH_UNIT + low;
    });
  }

  /** The words of the cells that are in use. */
  private usedCells(): number[] {
    const { words } = this;
    const used: number[] = [];
    if (Atomics.load(words, CELLS_IN_USE) === 0) return used;
    for (let i = 0; i < CELLS; i++) {
      const word = this.cellWord(i);
      const token = Atomics.load(words, word);
      if (token !== 0 && token !== LOST) used.push(word);
    }
    return used;
  }

  /** How many cells are in use. */
  get cellCount(): number {
    return this.usedCells().length;
  }
}

/** A reader's sign of life. */
export interface Lease {
  /** Its word in the control block. */
  readonly word: number;
  /** The word of its counter. */
  readonly sign: number;
  /** What tells it from earlier leases of the same word. */
  readonly token: number;
}

/** A lease as the owner sees it. */
export interface ListedLease {
  /** The lease. */
  readonly lease: Lease;
  /** It changes as long as the reader gives signs of life. */
  readonly counter: number;
  /** What the reader is called in the block cache. */
  readonly holder: number;
}

/** Two words, to make one of them. */
const pairWords = new Int32Array(2);
const pair = new BigInt64Array(pairWords.buffer);

/** What a claimed lease begins with. */
function pairOf(token: number, holder: number): bigint {
  pairWords[0] = token;
  pairWords[1] = holder;
  return pair[0];
}

function tokenOf(claim: bigint): number {
  pair[0] = claim;
  return pairWords[0];
}

function holderOf(claim: bigint): number {
  pair[0] = claim;
  return pairWords[1];
}

function usesWord(memtablesMax: number): number {
  return STATE_WORD + 2 * (STATE_HEADER + MEMTABLE_FIELDS * memtablesMax);
}

function leasesWord(memtablesMax: number, arenas: number): number {
  const end = usesWord(memtablesMax) + arenas;
  return Math.ceil(end / LEASE_WORDS) * LEASE_WORDS;
}

/** Bytes of a control block that can name so many memtables and arenas. */
export function controlBytes(memtablesMax: number, arenas: number): number {
  const words = leasesWord(memtablesMax, arenas) + LEASES * LEASE_WORDS +
    CELLS * CELL_WORDS;
  return words * 4;
}

/** Memory for a control block that can name so many memtables and arenas. */
export function makeControlMemory(
  memtablesMax: number,
  arenas: number,
): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(controlBytes(memtablesMax, arenas));
  new Int32Array(memory)[MAGIC_WORD] = MAGIC;
  return memory;
}

/** Stores a word atomically, and keeps the ordinary reads and writes before and behind the call apart. */
export function fence(words: Int32Array, word: number, value: number): void {
  Atomics.store(words, word, value);
  Atomics.load(words, word);
}
