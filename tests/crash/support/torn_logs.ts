/**
 * Finds the ends of logs that a kill tore: a call of write(2) that a SIGKILL
 * meets may have copied a part only.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parseFileName } from "../../../lib/version/files.ts";
import {
  decodeGroupHeader,
  GROUP_HEADER_LENGTH,
  LOG_HEADER_LENGTH,
} from "../../../lib/wal/format.ts";

/** The lengths of the torn groups at the ends of a directory's logs. */
export function tornTails(dir: string): number[] {
  if (!existsSync(dir)) return [];
  const tails: number[] = [];
  for (const name of readdirSync(dir)) {
    const file = parseFileName(name);
    if (file?.kind !== "log") continue;
    const tail = tornTail(readFileSync(`${dir}/${name}`), file.number);
    if (tail > 0) tails.push(tail);
  }
  return tails;
}

/** Bytes behind the last whole group, if they are the beginning of one. */
function tornTail(bytes: Uint8Array, number: number): number {
  let offset = LOG_HEADER_LENGTH;
  while (offset < bytes.length) {
    const left = bytes.length - offset;
    if (left < GROUP_HEADER_LENGTH) return left;
    const group = decodeGroupHeader(bytes, offset, number);
    if (group === undefined) return 0; // That is no torn end, but damage.
    if (group.end > bytes.length) return left;
    offset = group.end;
  }
  return 0;
}
