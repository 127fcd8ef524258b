/**
 * The owner thread: it opens the database, starts the workers that serve it,
 * and carries out their writes. Flushes and compactions have a worker of their
 * own, so this thread is free for what else a program does.
 *
 * @module
 */
import { Worker } from "node:worker_threads";
import { type Db, open, utf8 } from "../../mod.ts";
import type { Start, ToOwner, ToWorker } from "./protocol.ts";

type Store = Db<string, Uint8Array>;

/** A running server. */
export interface Service extends AsyncDisposable {
  readonly port: number;
  /** Ends the workers, then closes the database. */
  stop(): Promise<void>;
}

/** One worker that serves. */
interface ServingWorker {
  readonly port: number;
  stop(): Promise<void>;
}

async function carryOut(
  db: Store,
  message: ToOwner & { type: "write" },
): Promise<ToWorker> {
  const { request, operation } = message;
  try {
    await db.write([operation]);
    return { type: "written", request };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    return { type: "written", request, failure };
  }
}

function startWorker(db: Store, start: Start): Promise<ServingWorker> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    workerData: start,
  });
  const tell = (message: ToWorker) => worker.postMessage(message);
  const stopped = Promise.withResolvers<void>();
  const stop = async () => {
    tell({ type: "stop" });
    await stopped.promise;
    await worker.terminate();
  };
  return new Promise((resolve, reject) => {
    worker.once("error", (error) => {
      reject(error);
      stopped.resolve(); // A worker that died will not say it.
    });
    worker.on("message", async (message: ToOwner) => {
      switch (message.type) {
        case "listening":
          return resolve({ port: message.port, stop });
        case "write":
          return tell(await carryOut(db, message));
        case "stopped":
          return stopped.resolve();
      }
    });
  });
}

/**
 * Opens the database in a directory and serves it from so many workers.
 *
 * @param port 0 for any free one.
 */
export async function startService(
  directory: string,
  port: number,
  workerCount: number,
): Promise<Service> {
  const db = await open(directory, { keys: utf8 });
  const handle = db.share();
  const workers: ServingWorker[] = [];
  const stop = async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await db.close();
  };
  try {
    // The first one chooses the port, if that is to be any free one.
    while (workers.length < workerCount) {
      const worker = workers.length + 1;
      const chosen = workers[0]?.port ?? port;
      workers.push(await startWorker(db, { worker, handle, port: chosen }));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    port: workers[0]?.port ?? port,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
