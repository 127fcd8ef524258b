/**
 * Copies of messages, as structured cloning makes them: what is posted to
 * another thread has nothing in common with the original but shared memory.
 *
 * @module
 */

/** A copy of plain data; throws for what cannot be posted. */
export function cloneMessage(value: unknown): unknown {
  if (typeof value === "function" || typeof value === "symbol") {
    throw new TypeError(`a ${typeof value} cannot be posted`);
  }
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof SharedArrayBuffer) return value;
  if (Array.isArray(value)) return value.map(cloneMessage);
  if (value instanceof Uint8Array) return value.slice();
  if (value instanceof Int32Array) {
    if (value.buffer instanceof SharedArrayBuffer) {
      return new Int32Array(value.buffer, value.byteOffset, value.length);
    }
    return value.slice();
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    throw new TypeError(`a ${value.constructor.name} loses its class`);
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, field]) => [name, cloneMessage(field)]),
  );
}

/** What kind of message it is. */
export function typeOf(message: unknown): string {
  return String((message as { type?: unknown }).type);
}
