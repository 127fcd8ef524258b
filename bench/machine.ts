/**
 * What the benchmarks ask of the machine: its name, peak memory, bytes written
 * and on disk; and the page cache.
 *
 * @module
 */
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { cpus, release, totalmem, type as osType } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** What the machine is, in words. */
export function machineName(): string {
  return `${cpus().length} x ${cpus()[0]?.model ?? "?"}, ${
    mebibytes(totalmem())
  }, ${osType()} ${release()}`;
}

/** The most memory that this process ever had resident, in bytes. */
export function peakMemoryBytes(): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1024;
  } catch {
    // Not Linux: what is resident now is the nearest to it.
  }
  return process.memoryUsage().rss;
}

/** Bytes that this process handed to write calls so far; NaN where that is not known. */
export function writtenBytes(): number {
  try {
    const io = readFileSync("/proc/self/io", "utf8");
    return Number(/^wchar:\s*(\d+)$/m.exec(io)?.[1]);
  } catch {
    return NaN; // Not Linux.
  }
}

/** The bytes of a file without its holes. */
function fileBytes(path: string): number {
  const { size, blocks } = statSync(path);
  return Math.min(size, blocks * 512);
}

/** The bytes of the files in a directory. */
export function directoryBytes(directory: string): number {
  let bytes = 0;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    bytes += entry.isDirectory() ? directoryBytes(path) : fileBytes(path);
  }
  return bytes;
}

/** Reads every file of a directory once, so that the page cache has it. */
export function readFiles(directory: string): void {
  const buffer = new Uint8Array(1024 * 1024);
  for (const name of readdirSync(directory)) {
    const file = openSync(join(directory, name), "r");
    while (readSync(file, buffer) > 0);
    closeSync(file);
  }
}

const DROP_CACHES = "/proc/sys/vm/drop_caches";

/** Empties the page cache of what is on the disk already; false where that is not allowed. */
export function dropPageCache(): boolean {
  try {
    writeFileSync(DROP_CACHES, "1\n");
    return true;
  } catch {
    return false; // Not Linux, or not its administrator.
  }
}

/** Bytes as `12.3 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** 1234567 as `1,234,567`. */
export function thousands(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** The middle one of some numbers, or the mean of the two middle ones. */
export function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  const lower = sorted[middle - 1] ?? NaN;
  return sorted.length % 2 === 1 ? upper : (lower + upper) / 2;
}
