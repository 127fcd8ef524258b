/**
 * The names of the engine's files, and of no others.
 *
 * ```
 * CURRENT            which manifest counts
 * CURRENT.tmp        CURRENT on its way
 * LOCK               held by the open handle
 * MANIFEST-000001    edits of the tree
 * 000002.vlog        write-ahead log
 * 000003.vtab        table
 * ```
 *
 * Whatever else lies in the directory is not the engine's and never touched.
 *
 * @module
 */
import { U48_MAX } from "../encoding/fixed.ts";

/** The file that names the manifest. */
export const CURRENT = "CURRENT";
/** {@linkcode CURRENT} on its way. */
export const CURRENT_TEMPORARY = "CURRENT.tmp";
/** The file whose lock is the database's. */
export const LOCK = "LOCK";

/** The greatest number that a file is taken to have: numbers go on behind it, and the formats have 48 bits for them. */
const NUMBER_MAX = (U48_MAX - 1) / 2;

/** What a numbered file is. */
export type FileKind = "log" | "table" | "manifest";

/** A numbered file of the engine. */
export interface NumberedFile {
  /** What it is. */
  readonly kind: FileKind;
  /** Its number. */
  readonly number: number;
  /** Its name. */
  readonly name: string;
}

function padded(number: number): string {
  return String(number).padStart(6, "0");
}

/** The name of a numbered file. */
export function fileName(kind: FileKind, number: number): string {
  switch (kind) {
    case "log":
      return `${padded(number)}.vlog`;
    case "table":
      return `${padded(number)}.vtab`;
    case "manifest":
      return `MANIFEST-${padded(number)}`;
  }
}

/** What a name says, if it is exactly one that {@linkcode fileName} gives. */
export function parseFileName(name: string): NumberedFile | undefined {
  const match = /^(?:MANIFEST-(\d{6,15})|(\d{6,15})\.(vlog|vtab))$/.exec(name);
  if (match === null) return undefined;
  const kind = match[1] !== undefined
    ? "manifest"
    : match[3] === "vlog"
    ? "log"
    : "table";
  const number = Number(match[1] ?? match[2]);
  if (number > NUMBER_MAX) return undefined; // No database comes near.
  return fileName(kind, number) === name ? { kind, number, name } : undefined;
}
