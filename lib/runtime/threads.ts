/**
 * Worker threads, on every runtime those of `node:worker_threads`: Deno's own
 * kind cannot be unref'ed.
 *
 * Where the worker's code comes from, in this order:
 * 1. `lib/worker.ts` beside this module, if it can be loaded without asking
 *    for a permission;
 * 2. the same module by its address, if this one came from a registry;
 * 3. a bundle of it that the library carries: in compiled programs and
 *    bundles there is no module to be loaded by address.
 *
 * Invariant: a thread never keeps the process alive by itself.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import {
  isMainThread,
  parentPort,
  Worker,
  workerData,
} from "node:worker_threads";
import type { WorkerEvents, WorkerOwner, WorkerThread } from "./runtime.ts";

/** What tells our threads from a program's own that import the module. */
const MARK = "varve:jobs";

/** The part of Deno that tells of permissions. */
interface Permissions {
  querySync(descriptor: { name: "read"; path: URL }): { state: string };
}

/** Whether a file can be loaded without asking anybody. */
function isLoadable(url: URL): boolean {
  const { Deno } = globalThis as { Deno?: { permissions: Permissions } };
  const state = Deno?.permissions.querySync({ name: "read", path: url }).state;
  return (state === undefined || state === "granted") && existsSync(url);
}

function moduleOf(source: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(source)}`);
}

/** The module that a thread starts with. */
async function entryPoint(url: string | undefined): Promise<URL> {
  const module = url === undefined
    ? new URL("../worker.ts", import.meta.url)
    : new URL(url);
  if (module.protocol === "file:") {
    if (url !== undefined || isLoadable(module)) return module;
    return moduleOf((await import("./worker_bundle.ts")).WORKER_BUNDLE);
  }
  return module.protocol === "data:"
    ? module
    : moduleOf(`import ${JSON.stringify(module.href)};`);
}

/** Starts a thread; see {@linkcode Runtime.startWorker}. */
export async function startWorker(
  events: WorkerEvents,
  url: string | undefined,
): Promise<WorkerThread> {
  const worker = new Worker(await entryPoint(url), { workerData: MARK });
  let failure: unknown;
  worker.on("message", (message) => events.message(message));
  // Without a listener an error in the thread would end the process.
  worker.on("error", (error) => failure = error);
  worker.on("exit", (code) => events.exit(failure ?? `exit code ${code}`));
  worker.unref(); // Last: to listen to a thread is to keep the process alive for it.
  return {
    post: (message) => worker.postMessage(message),
    ref: () => worker.ref(),
    unref: () => worker.unref(),
    terminate: () => void worker.terminate(),
  };
}

/** The owner of this thread; `undefined` unless {@linkcode startWorker} started it. */
export function workerOwner(): WorkerOwner | undefined {
  const port = parentPort;
  if (isMainThread || workerData !== MARK || port === null) return undefined;
  return {
    post: (message) => port.postMessage(message),
    listen: (onMessage) => void port.on("message", onMessage),
    close: () => process.exit(0), // Of this thread only, in a worker.
  };
}
