/**
 * The work that the guard compares with, on the runtime that runs this file:
 * none of it is Varve's. Prints its rate for each second as a line of JSON.
 * Started by `check.ts` with the kind of work and a directory.
 *
 * `work` is what an engine does, in plain JavaScript and calls to the system:
 * entries are made, hashed, found by binary search, copied to a buffer, written
 * by 64 KiB, read back and compared. `sync` is a small write and a sync.
 *
 * @module
 */
import {
  closeSync,
  fdatasyncSync,
  mkdirSync,
  openSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import {
  checkCount,
  ENTRY_BYTES,
  KEY_BYTES,
  keyOf,
  Random,
  valueOf,
} from "./data.ts";

/** The kinds of reference work. */
export type ReferenceKind = "work" | "sync";

const ENTRIES = 100_000;
const PASSES = 3;
const SYNCS = 300;
const WRITE_BYTES = 64 * 1024;
const FNV_PRIME = 0x01000193;

/** FNV-1a, by Fowler, Noll and Vo. */
function hash(bytes: Uint8Array): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) {
    value = Math.imul(value ^ (bytes[i] ?? 0), FNV_PRIME);
  }
  return value >>> 0;
}

/** Where a key is among sorted entries. */
function search(entries: Uint8Array, key: Uint8Array): number {
  let low = 0;
  let high = entries.length / ENTRY_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = middle * ENTRY_BYTES;
    let i = 0;
    while (i < KEY_BYTES && entries[at + i] === key[i]) i++;
    if (i < KEY_BYTES && (entries[at + i] ?? 0) < (key[i] ?? 0)) {
      low = middle + 1;
    } else high = middle;
  }
  return low;
}

function write(file: number): void {
  const buffer = new Uint8Array(WRITE_BYTES);
  let used = 0;
  let place = 0;
  for (let entry = 0; entry < ENTRIES; entry++) {
    if (used + ENTRY_BYTES > WRITE_BYTES) {
      place += writeSync(file, buffer, 0, used, place);
      used = 0;
    }
    buffer.set(keyOf(entry * 2), used);
    buffer.set(valueOf(entry * 2, 1), used + KEY_BYTES);
    used += ENTRY_BYTES;
  }
  writeSync(file, buffer, 0, used, place);
}

function readBack(file: number, random: Random): void {
  const entries = new Uint8Array(ENTRIES * ENTRY_BYTES);
  for (let at = 0; at < entries.length;) {
    const length = Math.min(WRITE_BYTES, entries.length - at);
    const read = readSync(file, entries, at, length, at);
    if (read === 0) break;
    at += read;
  }
  const counts = new Map<number, number>();
  for (let i = 0; i < ENTRIES; i++) {
    const entry = random.below(ENTRIES);
    const key = keyOf(entry * 2);
    checkCount("place of an entry", search(entries, key), entry);
    const at = entry * ENTRY_BYTES;
    const value = entries.slice(at + KEY_BYTES, at + ENTRY_BYTES);
    const bucket = (hash(key) ^ (value[0] ?? 0)) & 0xfff;
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  }
}

/** Does the work; returns how many entries that were. */
function doWork(file: number): number {
  const random = new Random(41);
  for (let pass = 0; pass < PASSES; pass++) {
    write(file);
    readBack(file, random);
  }
  return PASSES * ENTRIES;
}

/** Writes a little and syncs it, again and again; returns how often. */
function doSyncs(file: number): number {
  for (let i = 0; i < SYNCS; i++) {
    writeSync(file, keyOf(i), 0, KEY_BYTES, i * KEY_BYTES);
    fdatasyncSync(file);
  }
  return SYNCS;
}

const [kind, directory = "."] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
const file = openSync(join(directory, "reference"), "w+");
const start = performance.now();
const done = kind === "sync" ? doSyncs(file) : doWork(file);
const seconds = (performance.now() - start) / 1000;
closeSync(file);
process.stdout.write(JSON.stringify(done / seconds) + "\n");
