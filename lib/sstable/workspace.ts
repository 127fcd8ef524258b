/**
 * What table cursors read with, kept for the next cursor when one is closed: a
 * fresh buffer for a block costs more than to find, copy and search the block.
 *
 * Invariant: a workspace belongs to one cursor at a time. What a cursor hands
 * out lies in it, and is not looked at once the cursor is closed.
 *
 * @module
 */
import { NO_BUFFER, ReadBuffer } from "../cache/table_memory.ts";
import { EMPTY } from "../encoding/bytes.ts";
import { Block, BlockEntry } from "./block.ts";

/** At most so many are kept by a thread. */
const KEPT = 16;
/** Larger buffers are not kept. */
const KEPT_BYTES = 64 * 1024;
/** What most keys fit in. */
const KEY_BYTES = 256;

/** The buffers of one cursor. */
export class Workspace {
  /** The key that the cursor stands on. */
  key: ReadBuffer = new ReadBuffer(KEY_BYTES);
  /** The block that the cursor stands in, if it was copied out of the cache. */
  buffer: ReadBuffer = NO_BUFFER;
  /** Blocks that were read ahead. */
  chunk: ReadBuffer = NO_BUFFER;
  /** The block that the cursor stands in. */
  readonly block: Block = new Block();
  /** The entry that the cursor stands on. */
  readonly entry: BlockEntry = new BlockEntry();
}

const spare: Workspace[] = [];

/** A workspace for a cursor. */
export function takeWorkspace(): Workspace {
  return spare.pop() ?? new Workspace();
}

/** Takes a workspace back. */
export function giveWorkspace(workspace: Workspace): void {
  if (spare.length === KEPT || workspace.key.bytes.length > KEPT_BYTES) return;
  const { buffer, chunk } = workspace;
  if (buffer.bytes.length > KEPT_BYTES) workspace.buffer = NO_BUFFER;
  if (chunk.bytes.length > KEPT_BYTES) workspace.chunk = NO_BUFFER;
  workspace.block.bytes = EMPTY;
  spare.push(workspace);
}
