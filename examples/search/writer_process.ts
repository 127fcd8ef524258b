/**
 * Indexing in a process of its own, so that it can be killed.
 *
 * The child prints a JSON line for each file whose batch was acknowledged.
 * When it has them all it waits: it never closes the index, so it always dies
 * in the open.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { listFiles } from "./corpus.ts";
import { indexFiles, type Progress } from "./indexing.ts";
import { SearchIndex } from "./search_index.ts";

/** Where in the corpus the child is killed, at random, as shares of it. */
const KILL_FROM = 0.35;
const KILL_TO = 0.65;
const KILL_DELAY_MS_MAX = 10;
const IDLE_MS = 1000;

/** What a line of the child says. */
type Report = { progress: Progress; path?: string } | "finished";

/** The child's part. Ends only by being killed, or with its parent. */
export async function runWriter(root: string, path: string): Promise<void> {
  process.stdin.on("end", () => process.exit(1)).resume();
  const index = await SearchIndex.open(path);
  await indexFiles(index, listFiles(root, path), (progress, file) => {
    print(file === undefined ? { progress } : { progress, path: file });
  });
  print("finished");
  setInterval(() => {}, IDLE_MS);
}

function print(report: Report): void {
  process.stdout.write(JSON.stringify(report) + "\n");
}

/** What the parent knew when the child was dead. */
export interface Killed {
  /** Files whose batches the child had said were acknowledged. */
  readonly acknowledged: Set<string>;
  /** Whether the child had come to the end of the files before. */
  readonly wasFinished: boolean;
}

/**
 * The parent's part: starts the child, and kills it with SIGKILL at a random
 * moment about half-way.
 */
export async function runAndKillWriter(
  script: string,
  root: string,
  path: string,
  fileCount: number,
  onProgress: (progress: Progress) => void,
): Promise<Killed> {
  const runtimeArguments = "Deno" in globalThis ? ["run", "-A"] : [];
  const child = spawn(
    process.execPath,
    [...runtimeArguments, script, "--writer", "--db", path, root],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const exited = new Promise<void>((resolve, reject) => {
    child.on("exit", () => resolve());
    child.on("error", reject);
  });
  const killAt = KILL_FROM + Math.random() * (KILL_TO - KILL_FROM);
  const acknowledged = new Set<string>();
  let wasFinished = false;
  let isDoomed = false;
  const doom = () => {
    if (isDoomed) return;
    isDoomed = true;
    const delay = Math.random() * KILL_DELAY_MS_MAX;
    setTimeout(() => child.kill("SIGKILL"), delay);
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const report = parseReport(line);
    if (report === undefined) continue; // cut off by the kill
    if (report === "finished") {
      wasFinished = true;
      doom();
      continue;
    }
    if (report.path !== undefined) acknowledged.add(report.path);
    onProgress(report.progress);
    if (report.progress.seen >= fileCount * killAt) doom();
  }
  await exited;
  if (!isDoomed) throw new Error("the indexing process ended by itself");
  return { acknowledged, wasFinished };
}

function parseReport(line: string): Report | undefined {
  try {
    return JSON.parse(line) as Report;
  } catch {
    return undefined;
  }
}
