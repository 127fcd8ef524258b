/**
 * Brings an index up to date with a directory: new and changed files are
 * indexed, unchanged ones skipped, vanished ones dropped.
 *
 * @module
 */
import { type CorpusFile, readText } from "./corpus.ts";
import { CATALOGUE } from "./schema.ts";
import type { SearchIndex } from "./search_index.ts";

/** Files whose batches wait for the log at the same time: they share its syncs. */
const IN_FLIGHT_MAX = 16;

/** How far the indexing is. */
export interface Progress {
  /** Files looked at. */
  readonly seen: number;
  /** Files whose batch was acknowledged. */
  readonly indexed: number;
  /** Files that were in the index, unchanged. */
  readonly unchanged: number;
  /** Files that are not text. */
  readonly notText: number;
  readonly postings: number;
  readonly lines: number;
  readonly bytes: number;
}

/**
 * Indexes files.
 *
 * @param onProgress Called after each file, with its path if it was indexed:
 * its batch is durable then.
 */
export async function indexFiles(
  index: SearchIndex,
  files: readonly CorpusFile[],
  onProgress: (progress: Progress, path?: string) => void,
): Promise<Progress> {
  const progress = {
    seen: 0,
    indexed: 0,
    unchanged: 0,
    notText: 0,
    postings: 0,
    lines: 0,
    bytes: 0,
  };
  const inFlight = new Set<Promise<void>>();
  const failures: unknown[] = [];

  async function indexFile(file: CorpusFile, text: string): Promise<void> {
    const added = await index.add(file.path, text, file.stamp);
    progress.seen++;
    progress.indexed++;
    progress.postings += added.postings;
    progress.lines += added.lines;
    progress.bytes += file.bytes;
    onProgress(progress, file.path);
  }

  for (const file of files) {
    if (failures.length > 0) break;
    if (index.stampOf(file.path) === file.stamp) {
      progress.seen++;
      progress.unchanged++;
      continue;
    }
    const text = await readText(file);
    if (text === undefined) {
      await index.remove(file.path); // it was text, perhaps
      progress.seen++;
      progress.notText++;
      continue;
    }
    const job = indexFile(file, text)
      .catch((failure) => failures.push(failure))
      .then(() => void inFlight.delete(job));
    inFlight.add(job);
    if (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  if (failures.length > 0) throw failures[0];
  onProgress(progress);
  return progress;
}

/** Drops what the index knows of files that are no longer there. */
export async function dropVanished(
  index: SearchIndex,
  files: readonly CorpusFile[],
): Promise<number> {
  const present = new Set(files.map((file) => file.path));
  let dropped = 0;
  for (const key of index.store.scan({ prefix: CATALOGUE }).keys()) {
    const path = key.slice(CATALOGUE.length);
    if (present.has(path)) continue;
    await index.remove(path);
    dropped++;
  }
  return dropped;
}
