/**
 * What happened in a simulation, as one number: two runs are the same if, and
 * as good as only if, their traces have the same hash.
 *
 * @module
 */

/** Lines kept for the report of a failure. */
const LINES_KEPT = 30;

/** A hash over everything that happens, in its order. */
export class Trace {
  #high = 0x811c9dc5;
  #low = 0x01000193;
  readonly #print: ((line: string) => void) | undefined;
  readonly #last: string[] = [];

  /** @param print Takes each line as it comes. */
  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** Whether lines are looked at at once. */
  get isPrinted(): boolean {
    return this.#print !== undefined;
  }

  /** Takes a number in. */
  number(value: number): void {
    this.#high = Math.imul(this.#high ^ (value | 0), 0x01000193);
    this.#low = Math.imul(this.#low ^ (this.#high >>> 15), 0x85ebca6b) +
        Math.floor(value / 2 ** 32) | 0;
  }

  /** Takes a text in. */
  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.number(text.charCodeAt(i));
  }

  /** Takes bytes in. */
  bytes(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) this.number(bytes[i]);
  }

  /** Takes in what a person may want to read. */
  line(line: string): void {
    this.text(line);
    if (this.#last.push(line) > 2 * LINES_KEPT) {
      this.#last.splice(0, LINES_KEPT);
    }
    this.#print?.(line);
  }

  /** The same, of no interest unless everything is printed. */
  detail(line: () => string): void {
    this.#print?.(`    ${line()}`);
  }

  /** The last lines. */
  get lastLines(): readonly string[] {
    return this.#last.slice(-LINES_KEPT);
  }

  /** The hash so far. */
  get hash(): string {
    const hex = (word: number) => (word >>> 0).toString(16).padStart(8, "0");
    return hex(this.#high) + hex(this.#low);
  }
}
