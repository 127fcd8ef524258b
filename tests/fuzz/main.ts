/**
 * Fuzzes every decoder.
 *
 *     deno task fuzz [--minutes M] [--seed S] [--target NAME] [--case C]
 *
 * The same file runs on Bun and Node. Without `--target` all take turns;
 * `--case` runs one case again. The last line is `N passed, N failed`, where
 * cases that fail in the same way count once.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { fuzz, replayOf } from "./fuzz.ts";
import { TARGETS } from "./targets/all.ts";

const ERROR_CHARACTERS = 4000;

function shorten(error: string): string {
  return error.length <= ERROR_CHARACTERS
    ? error
    : `${error.slice(0, ERROR_CHARACTERS)}...`;
}

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    target: { type: "string", multiple: true, default: [] },
    case: { type: "string" },
  },
});

for (const name of values.target) {
  if (TARGETS.some((target) => target.name === name)) continue;
  throw new Error(`no target ${name}: ${TARGETS.map((t) => t.name)}`);
}

console.log(`seed ${values.seed}`);
const started = performance.now();
const { cases, failures } = await fuzz({
  targets: values.target,
  seed: Number(values.seed),
  seconds: Number(values.minutes) * 60,
  only: values.case === undefined ? undefined : Number(values.case),
  progress: (count) => {
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(`${seconds} s, ${count} cases`);
  },
});
let total = 0;
for (const [name, count] of Object.entries(cases)) {
  console.log(`${name}: ${count} cases`);
  total += count;
}
for (const failure of failures) {
  console.log(`\n${replayOf(failure)}\n${shorten(failure.error)}`);
}
console.log(`${total - failures.length} passed, ${failures.length} failed`);
process.exit(failures.length > 0 ? 1 : 0);
