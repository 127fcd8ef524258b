/**
 * Loads the packages of `bench/peers`, which nothing else of the project needs.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const PEERS = new URL("../peers/", import.meta.url);
const require = createRequire(new URL("package.json", PEERS));

/** Whether the packages are there. */
export function peersAreInstalled(): boolean {
  return existsSync(new URL("node_modules", PEERS));
}

/** The directory of the peers' `package.json`. */
export function peersDirectory(): string {
  return fileURLToPath(PEERS);
}

/** A class of stores that are opened by the path of a directory. */
export type StoreClass<Db> = new (
  location: string,
  options: Record<string, unknown>,
) => Db;

/** Loads a package; `T` is the part of it that is used. */
export function loadPeer<T>(name: string): T {
  return require(name) as T;
}
