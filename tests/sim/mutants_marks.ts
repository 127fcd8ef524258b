/**
 * Finds the marks of mutants in the engine's source, and makes the mutants.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Change } from "./mutants_list.ts";

/** A mark: a comment above the statement that a mutant lacks. */
export interface Mark {
  /** The mutant; `undefined` where the comment says why there is none. */
  readonly name: string | undefined;
  /** What the statement is there for. */
  readonly reason: string;
  /** The file, from the project's root. */
  readonly path: string;
  /** Where in the file the marked statement starts. */
  readonly start: number;
}

/** A file of the engine. */
export interface SourceFile {
  /** From the project's root. */
  readonly path: string;
  readonly text: string;
}

const MARK = /^ *\/\/ (?:mutant ([a-z0-9-]+)|no mutant): (.+)$/;
/** What is changed of a statement stands on one of this many lines. */
const REACH = 6;

/** The files of the engine in which there are mutants: all but those of the runtimes. */
export function engineFiles(root: string): SourceFile[] {
  return readdirSync(join(root, "lib"), { recursive: true, encoding: "utf8" })
    .map((name) => `lib/${name.replaceAll("\\", "/")}`)
    .filter((path) => path.endsWith(".ts") && !path.startsWith("lib/runtime/"))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));
}

/** The marks of a file, from its top to its end. */
export function marksIn({ path, text }: SourceFile): Mark[] {
  const marks: Mark[] = [];
  let waiting: Omit<Mark, "start">[] = [];
  let at = 0;
  for (const line of text.split("\n")) {
    const mark = MARK.exec(line);
    if (mark !== null) waiting.push({ name: mark[1], reason: mark[2], path });
    else if (!/^ *\/\//.test(line)) {
      marks.push(...waiting.map((found) => ({ ...found, start: at })));
      waiting = [];
    }
    at += line.length + 1;
  }
  return marks;
}

/** Where the statement ends that starts at `start`: behind its semicolon, or behind its last brace. */
function endOfStatement(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (char === '"' || char === "`") at = text.indexOf(char, at + 1);
    else if ("([{".includes(char)) depth++;
    else if (")]}".includes(char)) depth--;
    const isEnd = char === ";" || char === "}" && text[at + 1] === "\n";
    if (isEnd && depth === 0) return at + 1;
    if (depth < 0) break;
  }
  throw new Error(`no statement starts at ${start}`);
}

/** The end of the lines that a change may be on. */
function endOfReach(text: string, start: number): number {
  let end = start;
  for (let lines = 0; lines < REACH && end >= 0; lines++) {
    end = text.indexOf("\n", end + 1);
  }
  return end < 0 ? text.length : end;
}

/**
 * A file with the statement below a mark changed.
 *
 * @throws if the statement is not as the change expects it.
 */
export function mutate(text: string, { start }: Mark, change: Change): string {
  if (change === "remove") {
    // A field of a literal ends with its comma.
    const line = text.slice(start, text.indexOf("\n", start));
    const end = /^ *[\w.]+: .*,$/.test(line)
      ? start + line.length
      : endOfStatement(text, start);
    return text.slice(0, start) + text.slice(end);
  }
  const [from, to] = change;
  const at = text.indexOf(from, start);
  if (at < 0 || at >= endOfReach(text, start)) {
    throw new Error(`there is no "${from}" below the mark`);
  }
  return text.slice(0, at) + to + text.slice(at + from.length);
}
