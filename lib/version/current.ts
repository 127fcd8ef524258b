/**
 * CURRENT: one line of text that names the manifest that counts.
 *
 * ```
 * varve 1 manifest 3 snapshot 214 checksum 1a2b3c4d
 * ```
 *
 * 1 is the format version, 3 the manifest's number, 214 its length with the
 * first record, and the checksum (hexadecimal) is of the text before
 * " checksum". The file is replaced whole: temporary, sync, rename, directory
 * sync; so a CURRENT that is not such a line is damage.
 *
 * @module
 */
import { utf8Bytes } from "../encoding/bytes.ts";
import { corruption } from "../errors.ts";
import { checksum } from "../runtime/checksum.ts";
import type { FileSystem } from "../runtime/runtime.ts";
import { readWhole } from "../wal/reader.ts";
import { CURRENT, CURRENT_TEMPORARY } from "./files.ts";

/** What CURRENT says. */
export interface Current {
  /** The number of the manifest that counts. */
  readonly manifest: number;
  /** How long its first record made it. */
  readonly snapshotLength: number;
}

function encode(current: Current): string {
  const text =
    `varve 1 manifest ${current.manifest} snapshot ${current.snapshotLength}`;
  const sum = checksum(utf8Bytes(text), 0).toString(16).padStart(8, "0");
  return `${text} checksum ${sum}\n`;
}

/** Reads CURRENT, or throws `CORRUPTION`. */
export function readCurrent(files: FileSystem, directory: string): Current {
  const path = `${directory}/${CURRENT}`;
  const text = new TextDecoder("latin1").decode(readWhole(files, path));
  const match = /^varve 1 manifest (\d{1,15}) snapshot (\d{1,15}) /.exec(text);
  const current = {
    manifest: Number(match?.[1]),
    snapshotLength: Number(match?.[2]),
  };
  // mutant checksum-current: without it a damaged CURRENT leads to another manifest
  if (match === null || encode(current) !== text) {
    throw corruption(
      path,
      0,
      '"varve 1 manifest N snapshot N checksum X"',
      JSON.stringify(text.slice(0, 80)),
    );
  }
  return current;
}

/** Replaces CURRENT durably. What it names must be durable already. */
export function writeCurrent(
  files: FileSystem,
  directory: string,
  current: Current,
): void {
  const temporary = `${directory}/${CURRENT_TEMPORARY}`;
  if (files.stat(temporary) !== undefined) files.remove(temporary);
  const file = files.open(temporary, "create");
  try {
    file.writeAt(utf8Bytes(encode(current)), 0);
    // mutant sync-current: without it CURRENT may be empty
    file.syncNow();
  } finally {
    file.close();
  }
  files.rename(temporary, `${directory}/${CURRENT}`);
  // mutant sync-directory-of-current: without it CURRENT may name a manifest that was removed
  files.syncDirectory(directory);
}
