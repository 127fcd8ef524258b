/**
 * A reader of logs made from FORMAT.md alone, as plain as can be: what the
 * engine's reader must agree with on whatever bytes.
 *
 * @module
 */
import { placeSeed } from "../../../lib/encoding/checksum.ts";
import { checksum } from "../../../lib/runtime/checksum.ts";
import type { LogKnowledge } from "../../../lib/wal/reader.ts";
import type { LogOperation } from "../../unit/support/logs.ts";

/** What a log says. */
export interface PlainLog {
  readonly operations: LogOperation[];
  readonly end: number;
  readonly lastSequence: number;
}

const HEADER = 36;
const GROUP = 28;
const KEY_MAX = 64 * 1024;
const SEQUENCE_MAX = 2 ** 48 - 1;

/** Bytes and a place in them; reading past the end throws. */
class Walk {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  take(count: number): Uint8Array {
    if (this.at + count > this.bytes.length) throw new RangeError("the end");
    return this.bytes.slice(this.at, this.at += count);
  }

  fixed(width: number): number {
    return this.take(width).reduceRight((high, byte) => high * 256 + byte, 0);
  }

  varint(): number {
    let value = 0n;
    for (let shift = 0n; shift < 56n; shift += 7n) {
      const byte = BigInt(this.fixed(1));
      value |= (byte & 0x7fn) << shift;
      if (byte >= 0x80n) continue;
      if (value >= 2n ** 53n) break;
      return Number(value);
    }
    throw new RangeError("no varint");
  }

  text(): string {
    const bytes = this.take(this.varint());
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  }
}

interface Group {
  readonly sumOfContent: number;
  readonly end: number;
  readonly first: number;
  readonly mark: number;
  readonly count: number;
}

function groupAt(
  bytes: Uint8Array,
  at: number,
  number: number,
): Group | undefined {
  if (at + GROUP > bytes.length) return undefined;
  const walk = new Walk(bytes, at);
  const sum = walk.fixed(4);
  const header = bytes.subarray(at + 4, at + GROUP);
  if (checksum(header, placeSeed(number, at)) !== sum) return undefined;
  const sumOfContent = walk.fixed(4);
  const end = at + GROUP + walk.fixed(4);
  const first = walk.fixed(6);
  const mark = walk.fixed(6);
  if (mark < HEADER || mark > at) return undefined;
  return { sumOfContent, end, first, mark, count: walk.fixed(4) };
}

function isHeader(bytes: Uint8Array, number: number): boolean {
  if (bytes.length < HEADER) return false;
  const walk = new Walk(bytes);
  const isMagic = String.fromCharCode(...walk.take(8)) === "varvelog" &&
    walk.fixed(4) === 1;
  const isNumber = walk.fixed(6) === number;
  walk.at = 30;
  const isFlags = walk.fixed(2) <= 1;
  const sum = checksum(bytes.subarray(0, 32), 0);
  return isMagic && isNumber && isFlags && walk.fixed(4) === sum;
}

function operationsOf(bytes: Uint8Array, at: number, group: Group) {
  const walk = new Walk(bytes.subarray(0, group.end), at + GROUP);
  const operations: LogOperation[] = [];
  for (let i = 0; i < group.count; i++) {
    const kind = walk.fixed(1);
    const key = walk.text();
    const value = kind === 1 ? "" : walk.text();
    const isRange = value === "" || key < value;
    const isFitting = kind === 2
      ? Math.max(key.length, value.length) <= KEY_MAX + 1 && isRange
      : kind < 2 && key.length <= KEY_MAX;
    if (!isFitting) return undefined;
    operations.push({ sequence: group.first + i, kind, key, value });
  }
  const last = group.first + group.count - 1;
  return walk.at === group.end && last <= SEQUENCE_MAX ? operations : undefined;
}

/** What a log says; `undefined` if it is damaged. */
export function readPlainly(
  bytes: Uint8Array,
  number: number,
  { syncedLength, seal }: LogKnowledge,
): PlainLog | undefined {
  const least = seal?.length ?? syncedLength;
  const limit = seal?.length ?? bytes.length;
  if (!isHeader(bytes, number) || bytes.length < least) return undefined;
  const operations: LogOperation[] = [];
  let lastSequence = new Walk(bytes, 24).fixed(6);
  let at = HEADER;
  while (at < limit) {
    const group = groupAt(bytes, at, number);
    const isWhole = group !== undefined && group.end <= limit &&
      group.sumOfContent === checksum(
          bytes.subarray(at + GROUP, group.end),
          placeSeed(number, at),
        ) &&
      group.first > lastSequence;
    if (!isWhole) {
      for (let later = at + 1; later < bytes.length; later++) {
        const mark = groupAt(bytes, later, number)?.mark ?? 0;
        if (mark > at) return undefined;
      }
      if (least > at) return undefined;
      break;
    }
    try {
      const more = operationsOf(bytes, at, group);
      if (more === undefined) return undefined;
      operations.push(...more);
    } catch {
      return undefined;
    }
    lastSequence = group.first + group.count - 1;
    at = group.end;
  }
  if (seal !== undefined && lastSequence !== seal.lastSequence) {
    return undefined;
  }
  return { operations, end: at, lastSequence };
}
