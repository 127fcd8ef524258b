/**
 * The text files of a directory: which they are, and what is in them.
 *
 * Left out: `.git`, `node_modules`, symbolic links, files over 1 MiB, and
 * files that are not text (a zero byte, or not UTF-8).
 *
 * @module
 */
import { type Dirent, readdirSync, realpathSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

const SKIPPED_DIRECTORIES = new Set([".git", "node_modules"]);
const FILE_BYTES_MAX = 1024 * 1024;

/** A file that may be indexed. */
export interface CorpusFile {
  /** Where it is. */
  readonly location: string;
  /** Its path below the corpus directory, with `/` between names. */
  readonly path: string;
  /** Its length in bytes. */
  readonly bytes: number;
  /** Changes when the file does. */
  readonly stamp: string;
}

/**
 * Finds the files below `root`, in the order of their paths.
 *
 * @param root The directory.
 * @param exclude A directory to stay out of: the index itself may lie in `root`.
 */
export function listFiles(root: string, exclude: string): CorpusFile[] {
  const files: CorpusFile[] = [];
  collect(realpathSync(root), exclude, files, realpathSync(root));
  return files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function collect(
  directory: string,
  exclude: string,
  into: CorpusFile[],
  root: string,
): void {
  for (const entry of entriesOf(directory)) {
    const location = join(directory, entry.name);
    if (entry.isDirectory()) {
      if (SKIPPED_DIRECTORIES.has(entry.name) || location === exclude) continue;
      collect(location, exclude, into, root);
    } else if (entry.isFile()) {
      const status = statSync(location, { throwIfNoEntry: false });
      if (status === undefined || status.size > FILE_BYTES_MAX) continue;
      into.push({
        location,
        path: relative(root, location).split(sep).join("/"),
        bytes: status.size,
        stamp: `${status.size}-${Math.floor(status.mtimeMs)}`,
      });
    }
  }
}

/** A directory that may not be read is as good as empty. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** The text of a file, or `undefined` if it is not text or has gone. */
export async function readText(file: CorpusFile): Promise<string | undefined> {
  try {
    const bytes = await readFile(file.location);
    if (bytes.includes(0)) return undefined;
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
