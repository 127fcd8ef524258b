/**
 * Shared memory that has had its use, kept for the next one as long as the
 * collector leaves it.
 *
 * V8 does not count SharedArrayBuffers when it judges whether collecting
 * garbage would pay: each thread that has one would count all of it. So what
 * is let go of stays for minutes, and a program that opens and closes
 * databases, or writes records that take an arena of their own, would grow by
 * each of them until something else makes V8 collect. What is used again does
 * not pile up. It is held weakly, so that nothing is kept that would be free
 * otherwise.
 *
 * Invariant: what is given is in nobody's use any more, on any thread.
 *
 * @module
 */

/** The most that is remembered; what was given first is forgotten first. */
const MOST = 64;

/** Spare memory of one kind, of this thread. */
export class SpareMemory {
  private spare: WeakRef<SharedArrayBuffer>[] = [];

  /** Takes memory of exactly `bytes`, with whatever was in it; `undefined` if none fits. */
  take(
    bytes: number,
    fits?: (memory: SharedArrayBuffer) => boolean,
  ): SharedArrayBuffer | undefined {
    const { spare } = this;
    for (let i = spare.length - 1; i >= 0; i--) {
      const memory = spare[i].deref();
      if (memory === undefined) {
        spare.splice(i, 1);
      } else if (memory.byteLength === bytes && (fits?.(memory) ?? true)) {
        spare.splice(i, 1);
        return memory;
      }
    }
    return undefined;
  }

  /** Gives memory for the next use. */
  give(memory: SharedArrayBuffer): void {
    if (this.spare.length === MOST) this.spare.shift();
    this.spare.push(new WeakRef(memory));
  }
}
