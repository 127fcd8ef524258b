/**
 * Reads the report of a coverage tool in the lcov format, and adds it up.
 *
 * A branch is a way that a program can go at one place; the tool counts how
 * often it did. The ways inside of a function that was never called are not
 * counted at all, so functions are looked at too.
 *
 * @module
 */

/** Something in a file that was never reached. */
export interface Unreached {
  /** Its line. */
  readonly line: number;
  /** What it is. */
  readonly what: string;
}

/** How many there are of something, and how many were reached. */
export interface Share {
  /** All of them. */
  readonly found: number;
  /** Those that were reached. */
  readonly hit: number;
}

/** What was reached of one file, or of many. */
export interface Coverage {
  /** Branches. */
  readonly branches: Share;
  /** Functions. */
  readonly functions: Share;
  /** Lines. */
  readonly lines: Share;
}

/** What was reached of one file. */
export interface FileCoverage extends Coverage {
  /** Its path as the report has it. */
  readonly path: string;
  /** Branches and functions that were not, by line. */
  readonly unreached: readonly Unreached[];
}

/** The fields of one file's record by their names, as `name:value` each. */
function fieldsOf(record: string): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const line of record.split("\n")) {
    const [, name, value] = /^([A-Z]+):(.*)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const values = fields.get(name) ?? [];
    fields.set(name, values);
    values.push(value);
  }
  return fields;
}

function fileOf(fields: Map<string, string[]>, path: string): FileCoverage {
  const all = (name: string): string[][] =>
    (fields.get(name) ?? []).map((value) => value.split(","));
  const total = (name: string): number => {
    const count = Number(fields.get(name)?.[0]);
    if (Number.isInteger(count)) return count;
    throw new Error(`the report on ${path} has no ${name}`);
  };
  const lineOf = new Map(all("FN").map(([line, name]) => [name, line]));
  const unreached = [
    ...all("BRDA").filter(([, , , times]) => times === "0" || times === "-")
      .map(([line]) => ({ line: Number(line), what: "branch" })),
    ...all("FNDA").filter(([times]) => times === "0").map(([, name]) => ({
      line: Number(lineOf.get(name)),
      what: `function ${name}`,
    })),
  ].sort((a, b) => a.line - b.line);
  return {
    path,
    branches: { found: total("BRF"), hit: total("BRH") },
    functions: { found: total("FNF"), hit: total("FNH") },
    lines: { found: total("LF"), hit: total("LH") },
    unreached,
  };
}

/** What a report says of each file. */
export function readLcov(report: string): FileCoverage[] {
  return report.split("end_of_record").flatMap((record) => {
    const fields = fieldsOf(record);
    const path = fields.get("SF")?.[0];
    return path === undefined ? [] : [fileOf(fields, path)];
  });
}

function addShares(shares: readonly Share[]): Share {
  let found = 0;
  let hit = 0;
  for (const share of shares) {
    found += share.found;
    hit += share.hit;
  }
  return { found, hit };
}

/** Many files together. */
export function addCoverage(files: readonly Coverage[]): Coverage {
  return {
    branches: addShares(files.map(({ branches }) => branches)),
    functions: addShares(files.map(({ functions }) => functions)),
    lines: addShares(files.map(({ lines }) => lines)),
  };
}

/** A share of 100; of nothing, all was reached. */
export function percent({ found, hit }: Share): number {
  return found === 0 ? 100 : 100 * hit / found;
}
