/**
 * What the demonstration prints: headings, progress, tables, marked lines.
 * Colours and redrawn lines only on a terminal, and not with `NO_COLOR`.
 *
 * @module
 */
import process from "node:process";

const isTerminal = process.stdout.isTTY === true;
const hasColours = isTerminal && !process.env["NO_COLOR"];

const style = (code: string) => (text: string): string =>
  hasColours ? `\x1b[${code}m${text}\x1b[0m` : text;

const bold = style("1");
const dim = style("2");
const red = style("31");
const green = style("32");
const cyan = style("36");
const marked = style("1;33");

/** Prints a line. */
export function say(line = ""): void {
  console.log(line);
}

/** Prints what a line means on the side. */
export function aside(line: string): void {
  console.log(dim(line));
}

let chapters = 0;

/** Begins a chapter. */
export function chapter(title: string): void {
  say();
  say(bold(`${++chapters}. ${title}`));
}

let failures = 0;

/** Prints whether something that must hold does. */
export function check(claim: string, holds: boolean): void {
  if (!holds) failures++;
  say(`   ${holds ? green("ok") : red("FAILED")}  ${claim}`);
}

/** How many checks failed so far. */
export function failureCount(): number {
  return failures;
}

/** 1234567 as `1,234,567`. */
export function count(value: number): string {
  return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A number with its noun in singular or plural: `1 file`, `2 files`. */
export function plural(
  value: number,
  one: string,
  many: string = one + "s",
): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Bytes with a unit that fits. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 / 1024).toFixed(2)} MiB`;
}

/** Seconds with a unit that fits. */
export function duration(seconds: number): string {
  if (seconds < 0.001) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toFixed(1)} ms`;
  return `${seconds.toFixed(2)} s`;
}

/** A share of a whole. */
export function percent(part: number, whole: number): string {
  return whole === 0 ? "-" : `${(100 * part / whole).toFixed(1)} %`;
}

/** Runs something and tells how many seconds it took. */
export async function timed<T>(
  work: () => T | Promise<T>,
): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, (performance.now() - start) / 1000];
}

const BAR_WIDTH = 28;
const REDRAW_MS = 60;
const PLAIN_STEPS = 4;

/** A progress bar on a terminal; a line for each quarter of the way elsewhere. */
export class ProgressBar {
  readonly #total: number;
  #drawnAt = 0;
  #step = 0;

  constructor(total: number) {
    this.#total = total;
  }

  update(done: number, text: string): void {
    const share = this.#total === 0 ? 1 : Math.min(1, done / this.#total);
    if (isTerminal) {
      const now = performance.now();
      if (share < 1 && now - this.#drawnAt < REDRAW_MS) return;
      this.#drawnAt = now;
      const full = Math.round(share * BAR_WIDTH);
      const bar = cyan("█".repeat(full)) + dim("░".repeat(BAR_WIDTH - full));
      process.stdout.write(`\r\x1b[K   ${bar} ${text}`);
    } else {
      const step = Math.floor(share * PLAIN_STEPS);
      if (step <= this.#step) return;
      this.#step = step;
      say(`   ${String(Math.round(share * 100)).padStart(3)} %  ${text}`);
    }
  }

  /** Leaves the bar as it is and goes to the next line. */
  end(): void {
    if (isTerminal && this.#drawnAt > 0) process.stdout.write("\n");
  }
}

/** Prints rows in columns: the first column to the left, the others to the right. */
export function table(header: string[], rows: string[][]): void {
  const widths = header.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: string[]) =>
    "   " +
    row.map((cell, column) =>
      column === 0
        ? cell.padEnd(widths[column] ?? 0)
        : cell.padStart(widths[column] ?? 0)
    ).join("   ");
  say(bold(line(header)));
  say(dim("   " + widths.map((width) => "─".repeat(width)).join("───")));
  for (const row of rows) say(line(row));
}

const SNIPPET_WIDTH = 76;

/**
 * A line cut to the screen around the first place that is worth seeing, with
 * those places marked.
 *
 * @param isHit Whether a word of the line is to be marked.
 */
export function snippet(
  line: string,
  isHit: (word: string) => boolean,
): string {
  const text = line.replace(/[\s\p{C}]+/gu, " ").trim();
  const pieces = text.split(/([\p{L}\p{N}_]+)/u); // words at odd positions
  const first = pieces.findIndex((piece, i) => i % 2 === 1 && isHit(piece));
  const before = pieces.slice(0, Math.max(0, first)).join("").length;
  const from = Math.max(
    0,
    Math.min(before - SNIPPET_WIDTH / 3, text.length - SNIPPET_WIDTH),
  );
  let shown = from > 0 ? "…" : "";
  let position = 0;
  for (const [i, piece] of pieces.entries()) {
    const start = Math.max(0, Math.ceil(from) - position);
    const end = Math.ceil(from) + SNIPPET_WIDTH - position;
    position += piece.length;
    if (start >= piece.length || end <= 0) continue;
    const part = piece.slice(start, end);
    shown += i % 2 === 1 && isHit(piece) ? mark(part) : part;
  }
  return position > Math.ceil(from) + SNIPPET_WIDTH ? shown + "…" : shown;
}

function mark(word: string): string {
  return hasColours ? marked(word) : `«${word}»`;
}
