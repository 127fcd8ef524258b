/**
 * Key ranges as programs give them, turned into [start, end) of bytes.
 *
 * @module
 */
import {
  compareBytes,
  keySuccessor,
  prefixSuccessor,
} from "../encoding/bytes.ts";
import { invalid } from "../errors.ts";
import type { Bounds } from "./visible.ts";

/** A range whose bounds are not yet bytes. */
export interface LooseRange {
  /** See the public KeyRange. */
  readonly gt?: unknown;
  /** See the public KeyRange. */
  readonly gte?: unknown;
  /** See the public KeyRange. */
  readonly lt?: unknown;
  /** See the public KeyRange. */
  readonly lte?: unknown;
  /** See the public KeyRange. */
  readonly prefix?: unknown;
}

function later(
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareBytes(a, b) >= 0 ? a : b;
}

function earlier(
  a: Uint8Array | undefined,
  b: Uint8Array | undefined,
): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return compareBytes(a, b) <= 0 ? a : b;
}

/**
 * The bounds of a range.
 *
 * @param encodeKey Makes a bound bytes that stay as they are.
 * @param encodePrefix The same for the prefix.
 * @throws `INVALID_ARGUMENT` for bounds that contradict each other's meaning.
 */
export function resolveBounds(
  range: LooseRange,
  encodeKey: (bound: unknown) => Uint8Array,
  encodePrefix: (prefix: unknown) => Uint8Array,
): Bounds {
  const { gt, gte, lt, lte, prefix } = range;
  if (gt !== undefined && gte !== undefined) {
    throw invalid("gt and gte are given together");
  }
  if (lt !== undefined && lte !== undefined) {
    throw invalid("lt and lte are given together");
  }
  let start = gt !== undefined
    ? keySuccessor(encodeKey(gt))
    : gte !== undefined
    ? encodeKey(gte)
    : undefined;
  let end = lte !== undefined
    ? keySuccessor(encodeKey(lte))
    : lt !== undefined
    ? encodeKey(lt)
    : undefined;
  if (prefix !== undefined) {
    const first = encodePrefix(prefix);
    start = later(start, first);
    end = earlier(end, prefixSuccessor(first));
  }
  return { start, end };
}

/** Whether no key lies between the bounds. */
export function isEmptyRange({ start, end }: Bounds): boolean {
  return end !== undefined &&
    (end.length === 0 || start !== undefined && compareBytes(start, end) >= 0);
}
