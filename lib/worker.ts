/**
 * The module that a worker thread of the engine runs: flushes and
 * compactions, off the program's own thread.
 *
 * Programs do not import it. It does nothing unless the engine started the
 * thread, so that bundlers and compilers may be pointed at it.
 *
 * @module
 */
import { JobLoop } from "./compaction/job_loop.ts";
import { selectRuntime } from "./runtime/select.ts";
import { workerOwner } from "./runtime/threads.ts";

const owner = workerOwner();
if (owner !== undefined) new JobLoop(await selectRuntime(), owner);
