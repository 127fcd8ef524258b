/**
 * A runtime whose workers are watched: each message between owner and worker
 * is told to the test, which may end the worker there.
 *
 * @module
 */
import type {
  Runtime,
  WorkerEvents,
  WorkerThread,
} from "../../../lib/runtime/runtime.ts";
import { selectRuntime } from "../../../lib/runtime/select.ts";

/** One message, by who said it and what it is. */
export type Passage = `${"owner" | "worker"}: ${string}`;

/** Where a worker ends: before the message is handed over, or after. */
export type Moment = "before" | "after";

/** Decides whether the worker ends at a message; `index` counts all messages of the run. */
export type Killer = (
  passage: Passage,
  index: number,
  moment: Moment,
) => boolean;

/** A runtime with watched workers. */
export interface WatchedRuntime {
  /** The runtime. */
  readonly runtime: Runtime;
  /** All messages so far. */
  readonly passages: Passage[];
  /** Workers started so far. */
  started: number;
  /** Workers that have not ended. */
  alive: number;
}

function typeOf(message: unknown): string {
  return (message as { type: string }).type;
}

/** Watches the workers of this process's runtime. */
export async function watchWorkers(kill: Killer): Promise<WatchedRuntime> {
  const real = await selectRuntime();
  const passages: Passage[] = [];
  const startWorker = async (
    events: WorkerEvents,
    url: string | undefined,
  ): Promise<WorkerThread> => {
    watched.started++;
    watched.alive++;
    const pass = (passage: Passage, hand: () => void) => {
      const index = passages.push(passage) - 1;
      if (kill(passage, index, "before")) return thread.terminate();
      hand();
      if (kill(passage, index, "after")) thread.terminate();
    };
    const thread = await real.startWorker!({ // Every runtime of the tests has workers.
      message: (message) =>
        pass(`worker: ${typeOf(message)}`, () => events.message(message)),
      exit: (reason) => {
        watched.alive--;
        events.exit(reason);
      },
    }, url);
    return {
      ...thread,
      post: (message) =>
        pass(`owner: ${typeOf(message)}`, () => thread.post(message)),
    };
  };
  const watched: WatchedRuntime = {
    runtime: { ...real, startWorker },
    passages,
    started: 0,
    alive: 0,
  };
  return watched;
}
