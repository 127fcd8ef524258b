/**
 * The Node runtime.
 *
 * @module
 */
import { NodeFileSystem } from "./node_files.ts";
import { nodeLock } from "./node_lock.ts";
import { pause } from "./pause.ts";
import { every, later, sleep } from "./timers.ts";
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
    every,
    startWorker,
    slabResults: true,
  };
}
