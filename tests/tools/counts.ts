/**
 * Reads how many tests ran from what each runtime's own test runner reports.
 *
 * Invariant: a report that is missing or cut short gives `undefined`, never
 * zeros; the caller counts it as a failure.
 *
 * @module
 */

/** What became of the tests of a file, or of many files. */
export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** No test at all. */
export function noCounts(): Counts {
  return { passed: 0, failed: 0, skipped: 0 };
}

/** Begins the line that says what no test on Deno caught. */
export const UNCAUGHT = "Uncaught outside of a test:";

/** Adds `more` to `sum`. */
export function addCounts(sum: Counts, more: Counts): void {
  sum.passed += more.passed;
  sum.failed += more.failed;
  sum.skipped += more.skipped;
}

const JUNIT_CASE =
  /<testcase name="([^"]*)"[^>]*?(?:\/>|>([\s\S]*?)<\/testcase>)/g;
const JUNIT_SEPARATOR = " &gt; ";

/**
 * Reads the JUnit report of `deno test`.
 *
 * Deno lists a group beside the tests within it. Only the tests count, as on
 * the other runtimes: a name that is the beginning of another is a group.
 */
export function countDeno(report: string): Counts | undefined {
  if (!report.includes("</testsuites>")) return undefined;
  const cases = [...report.matchAll(JUNIT_CASE)];
  const groups = new Set<string>();
  for (const [, name = ""] of cases) {
    let cut = name.lastIndexOf(JUNIT_SEPARATOR);
    while (cut > 0) {
      groups.add(name.slice(0, cut));
      cut = name.lastIndexOf(JUNIT_SEPARATOR, cut - 1);
    }
  }
  const counts = noCounts();
  for (const [, name = "", body = ""] of cases) {
    if (groups.has(name)) continue;
    if (body.includes("<failure") || body.includes("<error")) counts.failed++;
    else if (body.includes("<skipped")) counts.skipped++;
    else counts.passed++;
  }
  return counts;
}

/** The number in the last line that `pattern` matches. */
function lastNumber(text: string, pattern: RegExp): number | undefined {
  const match = [...text.matchAll(pattern)].at(-1)?.[1];
  return match === undefined ? undefined : Number(match);
}

/** Reads the totals that `bun test` prints last. */
export function countBun(output: string): Counts | undefined {
  const end = output.lastIndexOf("\nRan ");
  if (end < 0) return undefined;
  const start = output.lastIndexOf("\n\n", end);
  const totals = output.slice(start, end);
  const passed = lastNumber(totals, /^ *(\d+) pass$/gm);
  if (passed === undefined) return undefined;
  const failed = lastNumber(totals, /^ *(\d+) fail$/gm) ?? 0;
  const skipped = (lastNumber(totals, /^ *(\d+) skip$/gm) ?? 0) +
    (lastNumber(totals, /^ *(\d+) todo$/gm) ?? 0);
  return { passed, failed, skipped };
}

/** Reads the TAP report of `node:test` on Node. */
export function countNode(report: string): Counts | undefined {
  const passed = lastNumber(report, /^# pass (\d+)$/gm);
  const failed = lastNumber(report, /^# fail (\d+)$/gm);
  const cancelled = lastNumber(report, /^# cancelled (\d+)$/gm);
  const skipped = lastNumber(report, /^# skipped (\d+)$/gm);
  const todo = lastNumber(report, /^# todo (\d+)$/gm);
  if (
    passed === undefined || failed === undefined || cancelled === undefined ||
    skipped === undefined || todo === undefined
  ) {
    return undefined;
  }
  return { passed, failed: failed + cancelled, skipped: skipped + todo };
}

/**
 * What one file's run counts for: its totals, and whether the run was clean.
 *
 * A file that ran no test, gave no report, or ended with an error that no test
 * shows is a failure: nothing is green by silence.
 */
export function judge(counts: Counts | undefined, clean: boolean): Counts {
  if (counts === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const empty = counts.passed + counts.failed + counts.skipped === 0;
  const hidden = !clean && counts.failed === 0;
  return empty || hidden ? { ...counts, failed: counts.failed + 1 } : counts;
}
