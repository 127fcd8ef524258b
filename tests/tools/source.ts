/**
 * A small lexer for TypeScript: tells code from comments and from literals, so
 * that a rule about names is not misled by prose, and finds the imports.
 *
 * Invariant: the code that is returned has the length and the line ends of the
 * source; what is not code is blanked with spaces. Quotes stay, so that an
 * import can be recognised; what stands between `${` and `}` is code.
 *
 * @module
 */

/** What a source consists of. */
export interface Source {
  /** The code, with comments and the insides of literals blanked. */
  readonly code: string;
  /** Inside of each string literal, by the offset of its opening quote. */
  readonly strings: ReadonlyMap<number, string>;
  /** The comments, by the offset at which they begin. */
  readonly comments: ReadonlyMap<number, string>;
}

/** How an import is written. */
export type ImportKind = "import" | "type" | "export" | "dynamic";

/** One import of a source. */
export interface Import {
  readonly kind: ImportKind;
  /** What is imported; undefined if it is not a plain string. */
  readonly target: string | undefined;
  readonly line: number;
}

/** After one of these words a slash begins a regular expression. */
const WORD_BEFORE_REGEX =
  /\b(?:return|typeof|case|in|of|delete|void|throw|new|do|else|await|yield)$/;
const LONGEST_WORD = 12;

/** The line, from 1, in which an offset lies. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < offset;) {
    line++;
    i = text.indexOf("\n", i + 1);
  }
  return line;
}

function blank(text: string): string {
  return text.replace(/[^\n]/g, " ");
}

/** The offset just behind a literal that ends with `quote`. */
function endOfString(text: string, start: number, quote: string): number {
  let i = start + 1;
  while (i < text.length && text[i] !== quote && text[i] !== "\n") {
    i += text[i] === "\\" ? 2 : 1;
  }
  return i + 1;
}

/** The offset just behind a regular expression, its flags left as code. */
function endOfRegex(text: string, start: number): number {
  let inClass = false;
  let i = start + 1;
  for (; i < text.length && text[i] !== "\n"; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === "[") inClass = true;
    else if (text[i] === "]") inClass = false;
    else if (text[i] === "/" && !inClass) return i + 1;
  }
  return i;
}

/** Whether a slash behind `code` begins a regular expression. */
function beginsRegex(code: string): boolean {
  let end = code.length;
  while (end > 0 && /\s/.test(code.charAt(end - 1))) end--;
  const before = code.slice(Math.max(0, end - LONGEST_WORD), end);
  if (before === "") return true;
  return WORD_BEFORE_REGEX.test(before) || !/[\w$)\]}"'`]$/.test(before);
}

/** Splits a source into code, strings and comments. */
export function lex(text: string): Source {
  const strings = new Map<number, string>();
  const comments = new Map<number, string>();
  let code = "";
  let i = 0;

  const take = (end: number) => {
    code += text.slice(i, end);
    i = end;
  };
  const hide = (end: number) => {
    code += blank(text.slice(i, end));
    i = end;
  };

  const takeComment = () => {
    const block = text[i + 1] === "*";
    const found = text.indexOf(block ? "*/" : "\n", i + 2);
    const end = found < 0 ? text.length : found + (block ? 2 : 0);
    comments.set(i, text.slice(i, end));
    hide(end);
  };

  const takeString = (quote: string) => {
    const end = Math.min(endOfString(text, i, quote), text.length);
    strings.set(i, text.slice(i + 1, end - 1));
    take(i + 1);
    hide(end - 1);
    take(end);
  };

  const takeTemplate = () => {
    const start = i;
    let plain = true;
    take(i + 1);
    while (i < text.length && text[i] !== "`") {
      if (text.startsWith("${", i)) {
        plain = false;
        take(i + 2);
        takeCode("}");
        take(i + 1);
      } else {
        hide(i + (text[i] === "\\" ? 2 : 1));
      }
    }
    if (plain) strings.set(start, text.slice(start + 1, i));
    take(i + 1);
  };

  /** Up to the end, or to the brace that closes a template's expression. */
  const takeCode = (stop: "}" | undefined) => {
    let depth = 0;
    while (i < text.length) {
      const c = text[i];
      const pair = text.slice(i, i + 2);
      if (pair === "//" || pair === "/*") takeComment();
      else if (c === '"' || c === "'") takeString(c);
      else if (c === "`") takeTemplate();
      else if (c === "/" && beginsRegex(code)) hide(endOfRegex(text, i));
      else {
        if (c === "{") depth++;
        if (c === "}" && depth-- === 0 && stop === "}") return;
        take(i + 1);
      }
    }
  };

  takeCode(undefined);
  return { code, strings, comments };
}

const STATIC_IMPORT =
  /(?<![.\w$])(import|export)\b(\s+type\b(?!\s*(?:,|from\b)))?[^;"'`()=]*?\bfrom\s*(["'])/g;
const BARE_IMPORT = /(?<![.\w$])import\s*(["'])/g;
const DYNAMIC_IMPORT = /(?<![.\w$])import\s*\(\s*(["'`])?/g;

/** All imports of a source: static, re-exports, dynamic, and in types. */
export function findImports(source: Source): Import[] {
  const { code, strings } = source;
  const imports: Import[] = [];
  const add = (kind: ImportKind, match: RegExpExecArray, quoted: boolean) => {
    const quote = match.index + match[0].length - 1;
    imports.push({
      kind,
      target: quoted ? strings.get(quote) : undefined,
      line: lineAt(code, match.index),
    });
  };
  for (const match of code.matchAll(STATIC_IMPORT)) {
    const isExport = match[1] === "export";
    add(match[2] ? "type" : isExport ? "export" : "import", match, true);
  }
  for (const match of code.matchAll(BARE_IMPORT)) add("import", match, true);
  for (const match of code.matchAll(DYNAMIC_IMPORT)) {
    add("dynamic", match, match[1] !== undefined);
  }
  return imports.sort((a, b) => a.line - b.line);
}
