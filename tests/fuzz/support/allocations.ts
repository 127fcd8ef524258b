/**
 * Notices buffers that are far larger than what is decoded: a length field
 * must not decide how much memory is taken.
 *
 * While a limit is set, making a typed array or an ArrayBuffer of more bytes
 * throws, and is remembered in case somebody catches that.
 *
 * @module
 */

let limit = Infinity;
let excess: string | undefined;

const NAMES = [
  "Uint8Array",
  "Int32Array",
  "Uint32Array",
  "Float64Array",
  "ArrayBuffer",
  "SharedArrayBuffer",
] as const;

type Maker = (typeof globalThis)[(typeof NAMES)[number]];

function check(maker: Maker, size: unknown): void {
  if (typeof size !== "number") return;
  const width = "BYTES_PER_ELEMENT" in maker ? maker.BYTES_PER_ELEMENT : 1;
  const bytes = size * width;
  if (!(bytes > limit)) return;
  excess ??= `a ${maker.name} of ${bytes} bytes, where ${limit} must do`;
  throw new Error(excess);
}

let isInstalled = false;

/** Watches from now on. Before that, limits are without effect. */
export function watchAllocations(): void {
  if (isInstalled) return;
  isInstalled = true;
  for (const name of NAMES) {
    const maker: Maker = globalThis[name];
    const watched: Maker = new Proxy(maker, {
      construct(target, args, newTarget): object {
        check(target, args[0]);
        return Reflect.construct(
          target,
          args,
          newTarget === watched ? target : newTarget,
        );
      },
    });
    Reflect.set(globalThis, name, watched);
  }
}

/** Allows no buffer of more bytes until {@linkcode endLimit}. */
export function setLimit(bytes: number): void {
  limit = bytes;
  excess = undefined;
}

/** Ends the limit; throws if something went past it. */
export function endLimit(): void {
  limit = Infinity;
  if (excess !== undefined) throw new Error(excess);
}
