/**
 * Takes a table apart and puts it together again, so that one part can be
 * changed, in length too, and everything else still fits.
 *
 * @module
 */
import { Decoder, putVarint } from "../../../lib/encoding/varint.ts";
import { BlockEntry, openBlock } from "../../../lib/sstable/block.ts";
import { BlockBuilder } from "../../../lib/sstable/block_builder.ts";
import {
  decodeFooter,
  encodeFooter,
  FOOTER_LENGTH,
  type Handle,
  PLAIN,
  SECTION_TRAILER_LENGTH,
} from "../../../lib/sstable/format.ts";
import { sealTable } from "./seals.ts";

/** A data block with its separator in the index. */
interface DataBlock {
  readonly separator: Uint8Array;
  content: Uint8Array;
  /** How the content is compressed, as its section says. */
  readonly compression: number;
}

/** What a table is made of; a section that is not there is empty. */
export interface TableParts {
  readonly number: number;
  readonly baseSequence: number;
  readonly mayBeCompressed: boolean;
  readonly blocks: DataBlock[];
  filter: Uint8Array;
  ranges: Uint8Array;
  properties: Uint8Array;
  /** The index; made anew of the blocks if it is left out. */
  index: Uint8Array | undefined;
}

/** Takes a whole table apart. */
export function takeApart(bytes: Uint8Array, number: number): TableParts {
  const footer = decodeFooter(
    bytes.subarray(bytes.length - FOOTER_LENGTH),
    "",
    number,
    bytes.length,
  );
  const contentOf = ({ offset, length }: Handle) =>
    bytes.slice(offset, offset + length);
  const blocks: DataBlock[] = [];
  if (footer.index.length > 0) {
    const { offset, length } = footer.index;
    const index = openBlock(bytes, offset, length, "", 0);
    const entry = new BlockEntry();
    const prefix = new Uint8Array(index.shared);
    index.copyPrefix(prefix);
    for (let i = 0; entry.read(index, i) && i < index.count; i++) {
      const { restStart, restLength, valueStart, valueEnd } = entry;
      const rest = bytes.subarray(restStart, restStart + restLength);
      const place = new Decoder(bytes, valueStart, valueEnd);
      const handle = { offset: place.varint(), length: place.varint() };
      blocks.push({
        separator: Uint8Array.of(...prefix, ...rest),
        content: contentOf(handle),
        compression: bytes[handle.offset + handle.length],
      });
      if (i + 1 === index.count) break;
    }
  }
  return {
    number,
    baseSequence: footer.baseSequence,
    mayBeCompressed: footer.mayBeCompressed,
    blocks,
    filter: contentOf(footer.filter),
    ranges: contentOf(footer.ranges),
    properties: contentOf(footer.properties),
    index: undefined,
  };
}

/** The bytes of an index over blocks at these places. */
export function encodeIndex(
  blocks: readonly DataBlock[],
  handles: readonly Handle[],
): Uint8Array {
  const builder = new BlockBuilder(false);
  blocks.forEach(({ separator }, i) => {
    const value = new Uint8Array(16);
    const { offset, length } = handles[i];
    const end = putVarint(value, putVarint(value, 0, offset), length);
    builder.add(separator, 0, separator.length, end * 2, 0, value, 0, end, 0);
  });
  const bytes = new Uint8Array(builder.size + 16);
  return bytes.slice(0, builder.finish(bytes, 0));
}

/** Puts a table together, with checksums that match. */
export function putTogether(parts: TableParts): Uint8Array {
  const pieces: Uint8Array[] = [];
  let offset = 0;
  const place = (content: Uint8Array, compression = PLAIN): Handle => {
    if (content.length === 0) return { offset: 0, length: 0 };
    const handle = { offset, length: content.length };
    const trailer = new Uint8Array(SECTION_TRAILER_LENGTH);
    trailer[0] = compression;
    pieces.push(content, trailer);
    offset += content.length + SECTION_TRAILER_LENGTH;
    return handle;
  };
  const handles = parts.blocks.map(({ content, compression }) =>
    place(content, compression)
  );
  const filter = place(parts.filter);
  const ranges = place(parts.ranges);
  const index = place(
    parts.index ??
      (handles.length === 0
        ? new Uint8Array(0)
        : encodeIndex(parts.blocks, handles)),
  );
  const { number, baseSequence, mayBeCompressed } = parts;
  const properties = place(parts.properties);
  pieces.push(
    encodeFooter({
      index,
      filter,
      ranges,
      properties,
      number,
      baseSequence,
      mayBeCompressed,
    }),
  );
  const bytes = new Uint8Array(offset + FOOTER_LENGTH);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return sealTable(bytes, number, handles);
}
