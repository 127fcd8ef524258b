/**
 * One opening of the database, and what hangs on it.
 *
 * @module
 */
import type { Db, Options, Snapshot, TreeEvent } from "../../mod.ts";
import type { ReadonlyDb } from "../../lib/readonly_db.ts";
import type { Model, Row } from "./model.ts";
import type { SimulatedProcess } from "./process.ts";

/** A snapshot, and what it must show for ever. */
export interface HeldSnapshot {
  readonly snapshot: Snapshot;
  readonly model: Model;
}

/** A scan that was left open, and what it still owes. */
export interface HeldScan {
  readonly rest: Iterator<[Uint8Array, Uint8Array]>;
  readonly owed: Row[];
  at: number;
}

/** A reader that shares the memory of the database, and a moment that it holds on to. */
export interface HeldReader {
  readonly reader: ReadonlyDb;
  held: HeldSnapshot | undefined;
}

const EVENTS = ["flush", "compaction", "stall", "worker", "error"] as const;

/** See the head of this file. */
export class Life {
  readonly process: SimulatedProcess;
  readonly db: Db;
  readonly options: Options;
  /** The last sequence that was given. */
  sequence = 0;
  /** Whether `close()` was called. */
  isClosing = false;
  /** Whether a call has said that the handle is read-only. */
  isReadOnly = false;
  /** Whether reader threads may read it. */
  isShared = false;
  /** Acknowledgements that were delayed. */
  stalls = 0;
  /** Whether anybody was told of a failure. */
  hasSurfaced = false;
  /** Calls that have not ended. */
  readonly pending: Set<Promise<void>> = new Set();
  readonly snapshots: HeldSnapshot[] = [];
  readonly scans: HeldScan[] = [];
  readonly readers: HeldReader[] = [];

  constructor(process: SimulatedProcess, db: Db, options: Options) {
    this.process = process;
    this.db = db;
    this.options = options;
  }

  /** Listens to what the database tells. */
  listen(take: (event: TreeEvent) => void): void {
    for (const type of EVENTS) {
      this.db.events.addEventListener(type, (event) => {
        if (!this.process.isDead) {
          take((event as CustomEvent<TreeEvent>).detail);
        }
      });
    }
  }
}
