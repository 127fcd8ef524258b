/**
 * Changes bytes as damage, and as a hostile writer, would.
 *
 * @module
 */
import { putU32, putU48 } from "../../../lib/encoding/fixed.ts";
import { putVarint } from "../../../lib/encoding/varint.ts";
import type { Random } from "../../engine/support/random.ts";

/** What lengths, counts and offsets are set to. */
const EXTREMES: readonly number[] = [
  0,
  1,
  0x7f,
  0x80,
  0xff,
  0x3fff,
  0x4000,
  0xffff,
  0x1_0000,
  0x7fff_ffff,
  0x8000_0000,
  0xffff_ffff,
  2 ** 40,
  2 ** 48 - 1,
  2 ** 53 - 1,
];

type Mutation = (
  random: Random,
  bytes: Uint8Array,
  donor: Uint8Array,
) => Uint8Array;

/** Random bytes, with many zeros and ones of all bits among them. */
export function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    bytes[i] = random.chance(70)
      ? random.below(256)
      : random.pick([0, 1, 2, 0x7f, 0x80, 0xff]);
  }
  return bytes;
}

/** A place in `bytes`: headers and footers are met more often than what lies between. */
function placeIn(random: Random, bytes: Uint8Array): number {
  const { length } = bytes;
  if (length === 0) return 0;
  const near = Math.min(length, 48);
  switch (random.below(4)) {
    case 0:
      return random.below(near);
    case 1:
      return length - 1 - random.below(near);
    default:
      return random.below(length);
  }
}

/** A stretch of `bytes`, short ones more often. */
function stretchOf(random: Random, bytes: Uint8Array): [number, number] {
  const start = placeIn(random, bytes);
  const most = random.chance(70) ? 12 : bytes.length;
  const end = Math.min(bytes.length, start + 1 + random.below(most + 1));
  return [start, end];
}

/** `bytes` with those in [start, end) replaced. */
function splice(
  bytes: Uint8Array,
  start: number,
  end: number,
  piece: Uint8Array,
): Uint8Array {
  const result = new Uint8Array(bytes.length - (end - start) + piece.length);
  result.set(bytes.subarray(0, start));
  result.set(piece, start);
  result.set(bytes.subarray(end), start + piece.length);
  return result;
}

/** Puts `piece` over what is there, as far as there is something. */
function overlay(bytes: Uint8Array, at: number, piece: Uint8Array): Uint8Array {
  bytes.set(piece.subarray(0, Math.max(0, bytes.length - at)), at);
  return bytes;
}

function wide(width: 2 | 4 | 6, value: number): Uint8Array {
  const piece = new Uint8Array(6);
  if (width === 6) putU48(piece, 0, value % 2 ** 48);
  else putU32(piece, 0, value % 2 ** 32);
  return piece.subarray(0, width);
}

function varint(value: number): Uint8Array {
  const piece = new Uint8Array(8);
  return piece.subarray(0, putVarint(piece, 0, value));
}

const MUTATIONS: readonly Mutation[] = [
  function flipBit(random, bytes) {
    bytes[placeIn(random, bytes)] ^= 1 << random.below(8);
    return bytes;
  },
  function step(random, bytes) {
    bytes[placeIn(random, bytes)] += random.pick([1, -1]);
    return bytes;
  },
  function setByte(random, bytes) {
    bytes[placeIn(random, bytes)] = random.pick([0, 1, 2, 0x7f, 0x80, 0xff]);
    return bytes;
  },
  function setWide(random, bytes) {
    const piece = wide(random.pick([2, 4, 6]), random.pick(EXTREMES));
    return overlay(bytes, placeIn(random, bytes), piece);
  },
  function setVarint(random, bytes) {
    const piece = varint(random.pick(EXTREMES));
    return overlay(bytes, placeIn(random, bytes), piece);
  },
  function replaceByVarint(random, bytes) {
    const at = placeIn(random, bytes);
    const end = Math.min(bytes.length, at + 1);
    return splice(bytes, at, end, varint(random.pick(EXTREMES)));
  },
  function cutEnd(random, bytes) {
    return bytes.slice(0, placeIn(random, bytes));
  },
  function cutOut(random, bytes) {
    const [start, end] = stretchOf(random, bytes);
    return splice(bytes, start, end, new Uint8Array(0));
  },
  function zero(random, bytes) {
    const [start, end] = stretchOf(random, bytes);
    return bytes.fill(0, start, end);
  },
  function insert(random, bytes) {
    const at = placeIn(random, bytes);
    return splice(bytes, at, at, randomBytes(random, 1 + random.below(12)));
  },
  function duplicate(random, bytes) {
    const [start, end] = stretchOf(random, bytes);
    const at = placeIn(random, bytes);
    return splice(bytes, at, at, bytes.slice(start, end));
  },
  function swap(random, bytes) {
    const [start, end] = stretchOf(random, bytes);
    const at = placeIn(random, bytes);
    const other = bytes.slice(at, at + end - start);
    overlay(bytes, at, bytes.slice(start, end));
    return overlay(bytes, start, other);
  },
  function fromDonor(random, bytes, donor) {
    const [start, end] = stretchOf(random, donor);
    const piece = donor.slice(start, end);
    const at = placeIn(random, bytes);
    return random.chance(50)
      ? overlay(bytes, at, piece)
      : splice(bytes, at, at, piece);
  },
];

/** `bytes` after one to three mutations; `donor` is another input of the same kind. */
export function mutated(
  random: Random,
  bytes: Uint8Array,
  donor: Uint8Array = bytes,
): Uint8Array {
  let result: Uint8Array = bytes.slice();
  const count = random.pick([1, 1, 1, 2, 3]);
  for (let i = 0; i < count; i++) {
    result = random.pick(MUTATIONS)(random, result, donor);
  }
  return result;
}
