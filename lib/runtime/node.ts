/**
 * The Node runtime.
 *
 * @module
 */
import { NodeFileSystem } from "./node_files.ts";
import { nodeLock } from "./node_lock.ts";
import { later, pause, sleep } from "./pause.ts";
import type { Runtime } from "./runtime.ts";
import { startWorker } from "./threads.ts";

/** Makes the runtime. */
export function nodeRuntime(): Runtime {
  return {
    name: "node",
    files: new NodeFileSystem({ lock: nodeLock }),
    wallClock: () => Date.now(),
    monotonicClock: () => performance.now(),
    pause,
    sleep,
    later,
    startWorker,
    slabResults: true,
  };
}
