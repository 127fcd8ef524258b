/**
 * What the owner thread and the workers say to each other.
 *
 * @module
 */
import type { Db, Operation } from "../../mod.ts";

/** What a worker is started with. */
export interface Start {
  /** Counted from 1. */
  readonly worker: number;
  /** Lets the worker read the database. */
  readonly handle: ReturnType<Db["share"]>;
  /** 0 for any free one. */
  readonly port: number;
}

/** From a worker. */
export type ToOwner =
  | { readonly type: "listening"; readonly port: number }
  | {
    readonly type: "write";
    /** Comes back with the answer. */
    readonly request: number;
    readonly operation: Operation<string, Uint8Array>;
  }
  | { readonly type: "stopped" };

/** To a worker. */
export type ToWorker =
  | {
    readonly type: "written";
    readonly request: number;
    /** Why the write failed, if it did. */
    readonly failure?: string;
  }
  | { readonly type: "stop" };
