/**
 * Counts the shared memory that is made.
 *
 * @module
 */

/** What was made while a {@linkcode watchSharedMemory} ran, in its order. */
export type Made = readonly SharedArrayBuffer[];

/**
 * Runs `body` while each SharedArrayBuffer that this thread makes is noted, and
 * kept from the collector.
 */
export async function watchSharedMemory(
  body: (made: Made) => Promise<void>,
): Promise<void> {
  const original = SharedArrayBuffer;
  const made: SharedArrayBuffer[] = [];
  // With the original's prototype, `instanceof` holds for the others too.
  globalThis.SharedArrayBuffer = new Proxy(original, {
    construct(target, args): SharedArrayBuffer {
      const memory = Reflect.construct(target, args);
      made.push(memory);
      return memory;
    },
  });
  try {
    await body(made);
  } finally {
    globalThis.SharedArrayBuffer = original;
  }
}

/** The bytes of all that is in a list from a place on. */
export function bytesFrom(made: Made, start: number): number {
  return made.slice(start).reduce((sum, memory) => sum + memory.byteLength, 0);
}
