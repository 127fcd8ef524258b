/**
 * Takes programs, links and headings out of Markdown and out of JSDoc.
 *
 * Invariant: a program has each of its lines at the line at which it stands in
 * the file, so that a complaint of the type checker names the right one.
 *
 * @module
 */

import { lex, lineAt } from "./source.ts";

/** A link to another place in the project. */
export interface Link {
  readonly target: string;
  readonly line: number;
}

interface Block {
  readonly language: string;
  /** The first line within the fences, from 0. */
  readonly line: number;
  readonly lines: string[];
}

/** Splits Markdown into its fenced blocks and the lines between them. */
function split(text: string): { blocks: Block[]; prose: string[] } {
  const blocks: Block[] = [];
  const prose: string[] = [];
  let open: { fence: string; block: Block } | undefined;
  text.split("\n").forEach((line, index) => {
    const fence = /^\s*(`{3,}|~{3,})\s*([^\s`]*)/.exec(line);
    const mark = fence?.[1] ?? "";
    prose.push(open === undefined && fence === null ? line : "");
    if (open === undefined) {
      if (fence === null) return;
      const language = fence[2] ?? "";
      open = { fence: mark, block: { language, line: index + 1, lines: [] } };
    } else if (mark.startsWith(open.fence) && fence?.[2] === "") {
      blocks.push(open.block);
      open = undefined;
    } else {
      open.block.lines.push(line);
    }
  });
  return { blocks, prose };
}

/**
 * The programs of a Markdown text: its blocks marked `ts`.
 *
 * A block without an import goes on with the program before it, as a reader
 * takes it; one with an import begins a new program.
 */
export function findPrograms(text: string): string[] {
  const programs: string[][] = [];
  for (const { language, line, lines } of split(text).blocks) {
    if (language !== "ts" && language !== "typescript") continue;
    const begins = lines.some((code) => /^\s*import\b/.test(code));
    let program = programs.at(-1);
    if (program === undefined || begins) programs.push(program = []);
    while (program.length < line) program.push("");
    program.push(...lines);
  }
  return programs.map((lines) => lines.join("\n") + "\n");
}

/** The programs in the JSDoc comments of a source; each stands alone. */
export function findExamples(source: string): string[] {
  const examples: string[] = [];
  for (const [offset, comment] of lex(source).comments) {
    if (!comment.startsWith("/**")) continue;
    const above = "\n".repeat(lineAt(source, offset) - 1);
    const text = comment.replace(/^\s*\*(?!\/) ?/gm, "");
    for (const { language, line, lines } of split(text).blocks) {
      if (language !== "ts" && language !== "typescript") continue;
      examples.push(above + "\n".repeat(line) + lines.join("\n") + "\n");
    }
  }
  return examples;
}

const INLINE_LINK =
  /\[(?:[^\]\\]|\\.)*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;
const LINK_DEFINITION = /^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?(?:\s+".*")?$/g;

/** The links and images of a Markdown text, those to other sites included. */
export function findLinks(text: string): Link[] {
  return split(text).prose.flatMap((prose, index) => {
    const line = prose.replace(/`[^`]*`/g, (code) => " ".repeat(code.length));
    return [...line.matchAll(INLINE_LINK), ...line.matchAll(LINK_DEFINITION)]
      .map(([, target = ""]) => ({ target, line: index + 1 }));
  });
}

/** The anchors of the headings, as code hosts make them. */
export function findAnchors(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const line of split(text).prose) {
    const heading = /^#{1,6}\s+(.+?)\s*#*$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const slug = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}
