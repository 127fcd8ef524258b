/**
 * A store as the workloads see it: what Varve and every peer is wrapped in.
 *
 * An adapter uses its store as somebody would who knows it well. What differs
 * between stores, and how the interface treats it:
 *
 * - Writes. `put` and `delete` are accepted in the call and acknowledged by the
 *   next `acknowledged()`; `room()` is awaited once in a window of writes and
 *   keeps the number of those under way bounded, by {@linkcode WINDOW} twice
 *   over. In between a store may gather them: in its own queue, in a
 *   transaction, in a batch. `putAcknowledged` is one write of its own, durable
 *   in a store that was opened with "sync".
 * - Whether an accepted write is read at once: {@linkcode Store.seesOwnWrites}.
 * - Whether reads answer at once or by a promise.
 *
 * The key that is given may be used until the call returns, the value until the
 * write is acknowledged. Results may be used until the next call.
 *
 * @module
 */

/** Writes after which the workloads await `room()`. */
export const WINDOW = 1000;

/** At once, or by a promise. */
export type Answer<T> = T | Promise<T>;

/** Takes an entry. */
export type Visit = (key: Uint8Array, value: Uint8Array) => void;

/** Takes an entry of a scan: arrays, or parts of them. */
export type VisitRow = (
  key: Uint8Array,
  value: Uint8Array,
  keyStart?: number,
  keyEnd?: number,
  valueStart?: number,
  valueEnd?: number,
) => void;

/** Lookups that leave values in one memory. */
export interface Into {
  /** The memory. */
  readonly target: Uint8Array;
  /** The length of the value; it is at the start of the memory. */
  get(key: Uint8Array): number | undefined;
}

/** Which entries a scan visits. */
export interface ScanRequest {
  /** Begin at this key, or at the next one in the direction of the scan. */
  readonly from?: Uint8Array;
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** The bound of a scan as the packages take it whose keys go by `gte` and `lte`. */
export function boundOf(
  { from, reverse = false }: ScanRequest,
): { gte?: Uint8Array; lte?: Uint8Array } {
  if (from === undefined) return {};
  return reverse ? { lte: from } : { gte: from };
}

/** An open store. */
export interface Store {
  /** Whether `get` answers by promises. */
  readonly getsAsync: boolean;
  /** Whether `scan` answers by promises. */
  readonly scansAsync: boolean;
  /** Whether a write that was accepted, but not acknowledged, is read. */
  readonly seesOwnWrites: boolean;

  get(key: Uint8Array): Answer<Uint8Array | undefined>;
  /** Asked in the place of `get` if it is there. */
  readonly into?: Into;
  scan(request: ScanRequest, visit: VisitRow): Answer<void>;

  put(key: Uint8Array, value: Uint8Array): void;
  delete(key: Uint8Array): void;
  room(): Answer<void>;
  acknowledged(): Answer<void>;

  putAcknowledged(key: Uint8Array, value: Uint8Array): Promise<void>;
  /** All that `fill` puts, or nothing. */
  batch(fill: (put: Visit) => void): Answer<void>;
  /** Everything from `start` on and before `end`. */
  deleteRange(start: Uint8Array, end: Uint8Array): Answer<void>;

  /** Brings the files to rest, as they would come to rest by themselves. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** How a store is opened. */
export interface OpenSettings {
  readonly directory: string;
  /** "buffered": the operating system has what is acknowledged; "sync": the disk. */
  readonly durability: "buffered" | "sync";
  /** For a store with a log: keep everything there, write no tables. */
  readonly keepInLog: boolean;
}

/** What is given to every store that lets it be chosen: Varve's defaults. */
export const WRITE_BUFFER_BYTES: number = 32 * 1024 * 1024;
/** See {@linkcode WRITE_BUFFER_BYTES}. */
export const CACHE_BYTES: number = 64 * 1024 * 1024;
/** Larger than any fill that is to stay in the log. */
export const BUFFER_FOR_ALL_BYTES: number = 256 * 1024 * 1024;

/** What a module of an adapter exports. */
export interface Adapter {
  open(settings: OpenSettings): Promise<Store>;
}
