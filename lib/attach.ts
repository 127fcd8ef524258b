/**
 * Attaching to a database that another thread of the process has opened.
 *
 * @module
 */
import { type Codecs, resolveCodecs } from "./options.ts";
import { ReadonlyDb } from "./readonly_db.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { selectRuntime } from "./runtime/select.ts";
import { checkHandle, type ShareHandle } from "./share/handle.ts";
import { SharedTree } from "./share/shared_tree.ts";

/**
 * Reads a database that another worker of the process, or its main thread, has
 * opened.
 *
 * @param handle What `db.share()` gave, posted to this thread.
 * @param codecs Those that the database was opened with: they cannot be posted.
 * @returns The handle to read by, to be closed when done.
 * @throws `INVALID_ARGUMENT` for what is no handle, `INVALID_CONFIG` for bad
 * codecs, `CLOSED` if the database was closed, `BUSY` if it has 256 readers.
 *
 * @example
 * ```ts
 * // worker.ts; the thread that opened the database did
 * // worker.postMessage(db.share())
 * import { attach, type ShareHandle, utf8 } from "@varve/db";
 *
 * addEventListener("message", async (event) => {
 *   using reader = await attach((event as MessageEvent<ShareHandle>).data, {
 *     keys: utf8,
 *     values: utf8,
 *   });
 *   console.log(reader.get("hello"));
 * });
 * ```
 */
export async function attach<K = Uint8Array, V = Uint8Array>(
  handle: ShareHandle,
  codecs?: Codecs<K, V>,
): Promise<ReadonlyDb<K, V>> {
  return attachWith(await selectRuntime(), handle, codecs);
}

/** {@linkcode attach} on a given runtime: for tests. */
export function attachWith<K = Uint8Array, V = Uint8Array>(
  runtime: Runtime,
  handle: ShareHandle,
  codecs?: Codecs<K, V>,
): ReadonlyDb<K, V> {
  const resolved = resolveCodecs(codecs);
  const tree = new SharedTree(runtime, checkHandle(handle));
  try {
    tree.checkOpen();
    tree.enter();
  } catch (error) {
    tree.close();
    throw error;
  }
  return new ReadonlyDb(tree, resolved);
}
