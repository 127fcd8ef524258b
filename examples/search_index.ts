/**
 * A full-text index over a directory of text files, told as a story: it is
 * built, its process is killed half-way, it recovers, answers queries, takes
 * in a changed file through a range delete, and shows the tree underneath.
 * Every claim on the screen is checked; a false one makes it exit with 1.
 *
 * ```text
 * deno run -A examples/search_index.ts [directory] [options]
 * bun examples/search_index.ts [directory] [options]
 * node examples/search_index.ts [directory] [options]
 *
 *   directory        what to index (default: this repository)
 *   --query WORDS    what to search for, perhaps several times; `comp*` is
 *                    every word that begins so
 *   --db PATH        where the index lives; it is kept, and brought up to date
 *                    the next time (default: a temporary directory)
 *   --keep           keep the temporary directory
 * ```
 *
 * @module
 */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  checkIndex,
  type IndexReport,
  searchByReading,
} from "./search/checks.ts";
import { type CorpusFile, listFiles } from "./search/corpus.ts";
import { dropVanished, indexFiles, type Progress } from "./search/indexing.ts";
import { lineOf, search, type View } from "./search/query.ts";
import { findRareTerm, suggestQueries } from "./search/suggestions.ts";
import {
  aside,
  chapter,
  check,
  count,
  duration,
  failureCount,
  plural,
  ProgressBar,
  say,
  size,
  snippet,
  timed,
} from "./search/screen.ts";
import { SearchIndex } from "./search/search_index.ts";
import { eachTerm, matches, parseQuery } from "./search/tokens.ts";
import { printLevels, printWork } from "./search/tree_report.ts";
import { runAndKillWriter, runWriter } from "./search/writer_process.ts";

const HITS_SHOWN = 3;
const SCRIPT = fileURLToPath(import.meta.url);

/** What the command line asks for. */
interface Settings {
  readonly root: string;
  readonly path: string;
  readonly isKept: boolean;
  readonly queries: string[];
  /** This process is the child that indexes until it is killed. */
  readonly isWriter: boolean;
}

/** The paths that each query found, the best first. */
type Answers = Map<string, string[]>;

function readSettings(): Settings {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      db: { type: "string" },
      keep: { type: "boolean", default: false },
      query: { type: "string", multiple: true, default: [] },
      writer: { type: "boolean", default: false },
    },
  });
  const temporary = () =>
    join(mkdtempSync(join(realpathSync(tmpdir()), "varve-search-")), "index");
  return {
    root: realpathSync(positionals[0] ?? join(dirname(SCRIPT), "..")),
    path: values.db === undefined ? temporary() : resolve(values.db),
    isKept: values.keep || values.db !== undefined,
    queries: values.query,
    isWriter: values.writer,
  };
}

async function main(settings: Settings): Promise<void> {
  const { root, path } = settings;
  const files = listFiles(root, path);
  if (files.length === 0) throw new Error(`no files to index in ${root}`);
  const acknowledged = await indexUntilKilled(settings, files);

  const [index, openSeconds] = await timed(() => SearchIndex.open(path));
  try {
    await showRecovery(index, acknowledged, openSeconds);
    await finishIndexing(index, files);
    const answers = await answerQueries(index, settings.queries);
    await changeOneFile(index, files);
    await showTree(index, answers);
  } finally {
    await index[Symbol.asyncDispose]();
  }
}

/** Returns the files that the killed process had reported as indexed. */
async function indexUntilKilled(
  { root, path }: Settings,
  files: CorpusFile[],
): Promise<Set<string>> {
  chapter(`Index ${root}`);
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  say(
    `   ${plural(files.length, "file")}, ${size(bytes)}; the index is ${path}`,
  );
  const bar = new ProgressBar(files.length);
  const show = progressPrinter(bar);
  const { acknowledged, wasFinished } = await runAndKillWriter(
    SCRIPT,
    root,
    path,
    files.length,
    show,
  );
  bar.end();
  const moment = wasFinished ? "when it had them all" : "half-way";
  say(
    `   The indexing process was killed ${moment} (SIGKILL), ` +
      `${plural(acknowledged.size, "file")} after it began.`,
  );
  return acknowledged;
}

function progressPrinter(bar: ProgressBar): (progress: Progress) => void {
  const start = performance.now();
  return (progress) => {
    const seconds = Math.max(0.001, (performance.now() - start) / 1000);
    bar.update(
      progress.seen,
      `${plural(progress.indexed, "file")}, ` +
        `${plural(progress.postings, "posting")}, ${size(progress.bytes)}, ` +
        `${count((progress.postings + progress.lines) / seconds)} entries/s`,
    );
  };
}

async function showRecovery(
  index: SearchIndex,
  acknowledged: Set<string>,
  openSeconds: number,
): Promise<void> {
  chapter("Recover");
  const report = await checkedReport(index);
  say(
    `   Reopened in ${duration(openSeconds)}: ` +
      `${plural(report.files.size, "file")} had been indexed.`,
  );
  const lost = [...acknowledged].filter((path) => !report.files.has(path));
  check(
    `all ${count(acknowledged.size)} that were reported are there`,
    lost.length === 0,
  );
  checkWhole(report);
}

async function checkedReport(index: SearchIndex): Promise<IndexReport> {
  using view = index.store.snapshot();
  return await checkIndex(view);
}

function checkWhole(report: IndexReport): void {
  check(
    `none is half there: ${plural(report.lines, "line")} and ` +
      `${plural(report.postings, "posting")} are complete`,
    report.problems.length === 0,
  );
  for (const problem of report.problems.slice(0, 10)) say(`       ${problem}`);
}

async function finishIndexing(
  index: SearchIndex,
  files: CorpusFile[],
): Promise<void> {
  chapter("Finish");
  const bar = new ProgressBar(files.length);
  const show = progressPrinter(bar);
  const [progress, seconds] = await timed(() => indexFiles(index, files, show));
  bar.end();
  const vanished = await dropVanished(index, files);
  say(
    `   ${plural(progress.indexed, "file")} more in ${duration(seconds)}; ` +
      `${count(progress.unchanged)} were in, ` +
      `${count(progress.notText)} are not text, ` +
      `${count(vanished)} have vanished.`,
  );
  const report = await checkedReport(index);
  check(
    `the index has ${plural(report.files.size, "file")}, each once`,
    report.files.size === files.length - progress.notText,
  );
  checkWhole(report);
}

async function answerQueries(
  index: SearchIndex,
  asked: string[],
): Promise<Answers> {
  chapter("Search");
  using view = index.store.snapshot();
  const queries = asked.length > 0 ? asked : suggestQueries(view);
  const answers: Answers = new Map();
  for (const query of queries) {
    answers.set(query, await showAnswer(view, query));
  }
  return answers;
}

async function showAnswer(view: View, query: string): Promise<string[]> {
  const [hits, seconds] = await timed(() => search(view, query));
  const [slow, slowSeconds] = await timed(() => searchByReading(view, query));
  say();
  say(`   ${query}`);
  aside(
    `   ${plural(hits.length, "file")} in ${duration(seconds)}; reading ` +
      `all ${plural(slow.lines, "line")} takes ${duration(slowSeconds)}`,
  );
  const words = parseQuery(query);
  for (const hit of hits.slice(0, HITS_SHOWN)) {
    say(`   ${hit.score.toFixed(2).padStart(6)}  ${hit.path}:${hit.line + 1}`);
    say(
      "           " + snippet(lineOf(view, hit), (word) => {
        let isHit = false;
        eachTerm(word, (term) => {
          isHit ||= words.some((asked) => matches(term, asked));
        });
        return isHit;
      }),
    );
  }
  const found = hits.map((hit) => hit.path);
  check(
    "reading every line finds the same files",
    found.toSorted().join("\0") === slow.paths.join("\0"),
  );
  return found;
}

/** Indexes one file with a changed text, and then as it is again. */
async function changeOneFile(
  index: SearchIndex,
  files: CorpusFile[],
): Promise<void> {
  chapter("Change a file");
  const rare = findRareTerm(index.store);
  const file = files.find(({ path }) => path === rare?.path);
  if (rare === undefined || file === undefined) {
    say("   No word is in one file only: nothing to show here.");
    return;
  }
  const { term, text } = rare;
  let replacement = "varvelation";
  while (hitCount(index, replacement + "*") > 0) replacement += "x";
  const before = hitCount(index, term);
  say(`   ${file.path}: every "${term}" becomes "${replacement}".`);

  const changed = text.replace(new RegExp(term, "giu"), ` ${replacement} `);
  const [added, seconds] = await timed(() =>
    index.add(file.path, changed, "changed")
  );
  say(
    `   One atomic batch in ${duration(seconds)}: one range delete drops ` +
      `the old generation,`,
  );
  say(
    `   ${plural(added.lines + added.postings, "entry", "entries")} ` +
      `are put for the new one.`,
  );
  check(`"${term}" was in ${plural(before, "file")}`, before === 1);
  check(`"${term}" is in none now`, hitCount(index, term) === 0);
  check(`"${replacement}" is in one`, hitCount(index, replacement) === 1);

  await index.add(file.path, text, file.stamp);
  check(
    `changed back, "${term}" is in one again and "${replacement}" in none`,
    hitCount(index, term) === 1 && hitCount(index, replacement) === 0,
  );
  checkWhole(await checkedReport(index));
}

function hitCount(index: SearchIndex, query: string): number {
  using view = index.store.snapshot();
  return search(view, query).length;
}

async function showTree(index: SearchIndex, answers: Answers): Promise<void> {
  chapter("Compact");
  await index.store.flush();
  say("   Before:");
  printLevels(index.store.stats());
  const swept = await index.sweep();
  const [, seconds] = await timed(() => index.store.majorCompact());
  say();
  say(
    `   ${plural(swept, "posting")} of dropped generations swept; ` +
      `everything merged in ${duration(seconds)}:`,
  );
  printLevels(index.store.stats());
  const isSame = askAgain(index, answers);
  printWork(index.store.stats());
  say();
  check("the queries have the answers that they had", isSame);
  checkWhole(await checkedReport(index));
}

/** Whether every query still finds the same files, in the same order. */
function askAgain(index: SearchIndex, answers: Answers): boolean {
  using view = index.store.snapshot();
  return [...answers].every(([query, paths]) =>
    search(view, query).map((hit) => hit.path).join("\0") === paths.join("\0")
  );
}

/** Settings, or the end of the process with a word on what was wrong. */
function settingsOrExit(): Settings {
  try {
    return readSettings();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return process.exit(2);
  }
}

const settings = settingsOrExit();
if (settings.isWriter) {
  await runWriter(settings.root, settings.path);
} else {
  const start = performance.now();
  try {
    await main(settings);
    if (failureCount() > 0) process.exitCode = 1;
    say();
    say(
      failureCount() === 0
        ? `Every check held. ${duration((performance.now() - start) / 1000)}.`
        : `${plural(failureCount(), "check")} failed.`,
    );
  } finally {
    if (settings.isKept) aside(`The index stays in ${settings.path}.`);
    else rmSync(dirname(settings.path), { recursive: true, force: true });
  }
}
