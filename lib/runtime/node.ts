/**
 * The Node runtime.
 *
 * @module
 */
import { COMMON } from "./common.ts";
import { NodeFileSystem } from "./node_files.ts";
import { nodeLock } from "./node_lock.ts";
import type { Runtime } from "./runtime.ts";

/** Makes the runtime. */
export function nodeRuntime(): Runtime {
  return {
    ...COMMON,
    name: "node",
    files: new NodeFileSystem({ lock: nodeLock }),
    slabResults: true,
  };
}
