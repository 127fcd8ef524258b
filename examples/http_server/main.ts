/**
 * An HTTP server on one database, with its reads in several threads.
 *
 * ```text
 * deno task demo:http [--directory DIR] [--port 8080] [--workers N] [--check]
 * ```
 *
 * Also under `bun` and `node`; Deno needs `--unstable-net`, for several threads
 * that listen on one port. The main thread owns the database (`owner.ts`);
 * each worker serves the same port and reads by itself (`worker.ts`). With
 * `--check` it serves a temporary directory, asks itself whether the answers
 * are right (`check.ts`), and ends.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { check } from "./check.ts";
import { startService } from "./owner.ts";

const CHECK_WORKERS = 3;

async function checkItself(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "varve-http-"));
  try {
    await using service = await startService(directory, 0, CHECK_WORKERS);
    const { requests, workers } = await check(service.port, CHECK_WORKERS);
    console.log(
      `${requests} requests answered rightly, by workers ${workers.join(", ")}`,
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function serveUntilStopped(
  directory: string,
  port: number,
  workerCount: number,
): Promise<void> {
  const service = await startService(directory, port, workerCount);
  console.log(
    `http://127.0.0.1:${service.port}/entries, ${workerCount} workers; ` +
      `stop it with Ctrl+C`,
  );
  process.once("SIGINT", () => service.stop());
}

const { values } = parseArgs({
  options: {
    directory: { type: "string", default: "./http-data" },
    port: { type: "string", default: "8080" },
    workers: { type: "string", default: String(availableParallelism()) },
    check: { type: "boolean", default: false },
  },
});
if (values.check) await checkItself();
else {
  await serveUntilStopped(
    values.directory,
    Number(values.port),
    Number(values.workers),
  );
}
