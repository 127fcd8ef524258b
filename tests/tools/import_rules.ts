/**
 * The rules of the library's architecture, checked over its sources:
 *
 * 1. Imports point to the same tier or a lower one, see `TIERS`.
 * 2. Files do not import each other in a circle (imports of types aside).
 * 3. Only `lib/runtime/` knows a runtime: its globals and modules, clocks,
 *    timers, random numbers, workers. This makes simulation possible.
 * 4. Everything else imports relative paths within the library only.
 * 5. The decisions of compaction are pure: no `async`, no runtime.
 * 6. A file begins with a comment that says what it is.
 *
 * @module
 */

import { posix } from "node:path";
import {
  findImports,
  type Import,
  lex,
  lineAt,
  type Source,
} from "./source.ts";

/** The tiers, lowest first: folders end in a slash. */
export const TIERS: readonly (readonly string[])[] = [
  [
    "lib/encoding/",
    "lib/errors.ts",
    "lib/types.ts",
    "lib/cursor.ts",
    "lib/row_buffer.ts",
    "lib/codecs.ts",
    "lib/options.ts",
  ],
  ["lib/runtime/"],
  ["lib/wal/", "lib/memtable/", "lib/sstable/", "lib/cache/"],
  ["lib/version/"],
  ["lib/flush/", "lib/compaction/", "lib/read/", "lib/share/"],
  ["lib/write/"],
  [
    "lib/open.ts",
    "lib/attach.ts",
    "lib/db.ts",
    "lib/readonly_db.ts",
    "lib/reader.ts",
    "lib/replay.ts",
    "lib/snapshot.ts",
    "lib/stats.ts",
    "lib/tree_source.ts",
  ],
  ["mod.ts", "lib/worker.ts"],
];

/** Files of `lib/compaction/` that decide and do nothing else. */
const PURE_FILES =
  /^lib\/compaction\/(?:strategy|size_tiered|leveled|picker\w*|tombstone_picker|merge_stream|elision|splitting|covered)\.ts$/;

const RUNTIME_FOLDER = "lib/runtime/";
const RUNTIME_MODULE = /^(?:node:.+|bun:ffi)$/;

/** Names that only the runtime folder may use, and how they are recognised. */
const RUNTIME_NAMES: readonly (readonly [string, RegExp])[] = [
  ["Deno", /\bDeno\b/g],
  ["Bun", /\bBun\b/g],
  ["process", global("process")],
  ["performance", global("performance")],
  ["crypto", global("crypto")],
  ["setTimeout", global("setTimeout")],
  ["setInterval", global("setInterval")],
  ["setImmediate", global("setImmediate")],
  ["navigator", global("navigator")],
  ["Date.now", /\bDate\s*\.\s*now\b/g],
  ["new Date", /\bnew\s+Date\b/g],
  ["Math.random", /\bMath\s*\.\s*random\b/g],
  ["new Worker", /\bnew\s+(?:globalThis\s*\.\s*)?Worker\b/g],
];

/** A global by its name; not a property, a key or a member of that name. */
function global(name: string): RegExp {
  return new RegExp(
    `(?:\\bglobalThis\\s*\\.\\s*|(?<!\\.\\s*|[\\w$#]))${name}\\b(?!\\s*\\??:)`,
    "g",
  );
}

/** A rule that a file breaks. */
export interface Violation {
  readonly file: string;
  readonly line: number;
  readonly what: string;
}

/** The sources to check, by their paths from the project's root. */
export type Sources = ReadonlyMap<string, string>;

/** The tier of a file, or -1. */
export function tierOf(file: string): number {
  return TIERS.findIndex((members) =>
    members.some((member) =>
      member.endsWith("/") ? file.startsWith(member) : file === member
    )
  );
}

/** The file that a relative import of `file` names. */
function resolveImport(file: string, target: string): string {
  return posix.normalize(posix.join(posix.dirname(file), target));
}

function isRelative(target: string): boolean {
  return target.startsWith("./") || target.startsWith("../");
}

function checkImport(file: string, found: Import, sources: Sources): string[] {
  const { target } = found;
  if (target === undefined) return ["imports what is not a plain string"];
  if (!isRelative(target)) {
    if (!file.startsWith(RUNTIME_FOLDER)) {
      return [`imports "${target}", which is not a relative path`];
    }
    return RUNTIME_MODULE.test(target)
      ? []
      : [`imports "${target}", which is neither relative nor a built-in`];
  }
  const other = resolveImport(file, target);
  if (!sources.has(other)) {
    return [`imports "${target}", which is no file of the library`];
  }
  const broken: string[] = [];
  const tier = tierOf(file);
  const otherTier = tierOf(other);
  if (otherTier > tier) {
    broken.push(`imports upwards: ${other} (tier ${otherTier} from ${tier})`);
  }
  if (
    PURE_FILES.test(file) && found.kind !== "type" &&
    other.startsWith(RUNTIME_FOLDER)
  ) {
    broken.push(`is pure, yet imports ${other}`);
  }
  return broken;
}

function checkNames(file: string, source: Source): Violation[] {
  const rules: (readonly [string, RegExp])[] = [];
  if (!file.startsWith(RUNTIME_FOLDER)) rules.push(...RUNTIME_NAMES);
  if (PURE_FILES.test(file)) {
    rules.push(["async", /\basync\b/g], ["await", /\bawait\b/g]);
  }
  return rules.flatMap(([name, pattern]) =>
    [...source.code.matchAll(pattern)].map((match) => ({
      file,
      line: lineAt(source.code, match.index),
      what: `uses ${name}`,
    }))
  );
}

function checkFile(
  file: string,
  source: Source,
  imports: Import[],
  sources: Sources,
): Violation[] {
  const violations: Violation[] = [];
  if (tierOf(file) < 0) {
    violations.push({ file, line: 1, what: "belongs to no tier" });
  }
  if (!source.comments.has(0)) {
    violations.push({ file, line: 1, what: "does not begin with a comment" });
  }
  for (const found of imports) {
    for (const what of checkImport(file, found, sources)) {
      violations.push({ file, line: found.line, what });
    }
  }
  violations.push(...checkNames(file, source));
  return violations;
}

/**
 * The circles among files: each is found by a depth-first walk and named once,
 * by the file at which it was entered.
 */
function findCircles(graph: ReadonlyMap<string, string[]>): Violation[] {
  const circles: Violation[] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const walk = (file: string) => {
    const entered = path.indexOf(file);
    if (entered >= 0) {
      const circle = [...path.slice(entered), file].join(" -> ");
      circles.push({ file, line: 1, what: `imports in a circle: ${circle}` });
      return;
    }
    if (finished.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) walk(next);
    path.pop();
    finished.add(file);
  };
  for (const file of graph.keys()) walk(file);
  return circles;
}

/** Checks all rules; an empty list is what is wanted. */
export function checkSources(sources: Sources): Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, string[]>();
  for (const [file, text] of sources) {
    const source = lex(text);
    const imports = findImports(source);
    violations.push(...checkFile(file, source, imports, sources));
    graph.set(
      file,
      imports.flatMap(({ kind, target }) =>
        kind === "type" || target === undefined || !isRelative(target)
          ? []
          : [resolveImport(file, target)]
      ),
    );
  }
  violations.push(...findCircles(graph));
  return violations;
}
