/**
 * What the files of a database are, told from their names.
 *
 * @module
 */
import {
  CURRENT,
  CURRENT_TEMPORARY,
  LOCK,
  parseFileName,
} from "../../../lib/version/files.ts";

/** The kinds of files in a database's directory. */
export type FileKind =
  | "lock"
  | "current"
  | "manifest"
  | "log"
  | "table"
  | "temporary"
  | "foreign";

/** The kind of the file with this name. */
export function kindOf(name: string): FileKind {
  if (name === LOCK) return "lock";
  if (name === CURRENT) return "current";
  if (name === CURRENT_TEMPORARY) return "temporary";
  return parseFileName(name)?.kind ?? "foreign";
}
