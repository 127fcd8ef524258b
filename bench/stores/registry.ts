/**
 * The stores that are compared, and where each runs.
 *
 * @module
 */
import type { RuntimeName } from "../../tests/tools/runtimes.ts";
import type { OpenSettings, Store } from "./store.ts";

/** A store that can be measured. */
export interface StoreKind {
  readonly name: string;
  readonly runtimes: readonly RuntimeName[];
  /** The package of `bench/peers` that it needs. */
  readonly needs?: string;
  /** Arguments that Deno needs for it. */
  readonly denoArguments?: readonly string[];
  /** Only its reads differ from those of another one. */
  readonly isForReads?: true;
  /** It cannot be told to sync each write. */
  readonly isNeverSynced?: true;
  /** It takes no values of 100 KB. */
  readonly hasSmallValues?: true;
  /** Opens it; its module is only loaded then. */
  open(settings: OpenSettings): Promise<Store>;
}

const ALL = ["deno", "bun", "node"] as const;

/** The store that all others are compared with, */
export const OWN = "varve";
/** and the same with reads into memory of the program's. */
export const OWN_INTO = "varve-into";

/** Whether a store is Varve, and so no peer of it. */
export const isOwn = (name: string): boolean =>
  name === OWN || name === OWN_INTO;

/** Every store, Varve first. */
export const STORES: readonly StoreKind[] = [
  {
    name: OWN,
    runtimes: ALL,
    open: async (settings) => (await import("./varve.ts")).open(settings),
  },
  {
    name: OWN_INTO,
    runtimes: ALL,
    isForReads: true,
    open: async (settings) => (await import("./varve.ts")).openInto(settings),
  },
  {
    name: "lmdb",
    runtimes: ALL,
    needs: "lmdb",
    open: async (settings) => (await import("./lmdb.ts")).open(settings),
  },
  {
    name: "lmdb-view",
    runtimes: ALL,
    needs: "lmdb",
    isForReads: true,
    open: async (settings) => (await import("./lmdb.ts")).openView(settings),
  },
  {
    name: "classic-level",
    runtimes: ALL,
    needs: "classic-level",
    open: async (settings) =>
      (await import("./classic_level.ts")).open(settings),
  },
  {
    name: "rocksdb",
    runtimes: ALL,
    needs: "@nxtedition/rocksdb",
    open: async (settings) => (await import("./rocksdb.ts")).open(settings),
  },
  {
    name: "bun-sqlite",
    runtimes: ["bun"],
    open: async (settings) => (await import("./bun_sqlite.ts")).open(settings),
  },
  {
    name: "node-sqlite",
    runtimes: ["deno", "node"],
    open: async (settings) => (await import("./node_sqlite.ts")).open(settings),
  },
  {
    name: "deno-kv",
    runtimes: ["deno"],
    denoArguments: ["--unstable-kv"],
    isNeverSynced: true,
    hasSmallValues: true,
    open: async (settings) => (await import("./deno_kv.ts")).open(settings),
  },
];

/** Names of stores, each once, in the order of {@linkcode STORES}; others behind. */
export function inStoreOrder(names: readonly string[]): string[] {
  const place = (name: string) => {
    const found = STORES.findIndex((store) => store.name === name);
    return found < 0 ? STORES.length : found;
  };
  return [...new Set(names)].toSorted((a, b) => place(a) - place(b));
}

/** The store with this name. */
export function storeKind(name: string): StoreKind {
  const kind = STORES.find((store) => store.name === name);
  if (kind !== undefined) return kind;
  throw new Error(`no store ${name}`);
}
