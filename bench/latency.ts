/**
 * Measures what a program's own thread feels of the tree being maintained, and
 * fails if it is too much: `deno task bench:latency`.
 *
 * ```text
 *   --runtime NAME    deno, bun or node; may be repeated (default: deno and bun)
 *   --entries N       written at full speed (default 2,000,000)
 *   --seconds N       of writing at half that speed (default 60)
 *   --background B    worker or inline (default: the engine's)
 *   --strategy S      size-tiered or leveled (default: the engine's)
 *   --directory DIR   where the stores are made (default: the temporary directory)
 * ```
 *
 * Each runtime is a fresh process on a fresh directory; what it does is in
 * `latency_child.ts`. The bounds hold for the phases that write. The last line
 * says whether they were kept, and so does the exit code.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { findRuntime, type Runtime } from "../tests/tools/runtimes.ts";
import { runtimesOf } from "./arguments.ts";
import type { LatencyResult, PhaseResult } from "./latency_child.ts";
import { thousands } from "./machine.ts";
import type { Percentiles } from "./samples.ts";
import { printTable } from "./table.ts";

const CHILD = fileURLToPath(new URL("latency_child.ts", import.meta.url));

/** Of a cached key, on the thread that writes, at 99.9 %. */
const GET_P999_MAX_MS = 1;
/** Of the event loop, at 99 %. */
const LAG_P99_MAX_MS = 5;

/** The columns of tables that are text, not figures. */
const TEXT_COLUMNS = 2;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    runtime: { type: "string", multiple: true },
    entries: { type: "string", default: "2000000" },
    seconds: { type: "string", default: "60" },
    background: { type: "string" },
    strategy: { type: "string" },
    directory: { type: "string", default: tmpdir() },
  },
});

async function runChild(runtime: Runtime): Promise<LatencyResult> {
  const { background, strategy } = values;
  const parent = mkdtempSync(join(values.directory, "varve-latency-"));
  try {
    const { success, stdout, code, signal } = await new Deno.Command(
      runtime.path,
      {
        args: [
          ...(runtime.name === "deno" ? ["run", "-A", "--no-check"] : []),
          CHILD,
          ...["--directory", join(parent, "store")],
          ...["--entries", values.entries, "--seconds", values.seconds],
          ...["--options"],
          JSON.stringify({ compaction: { background, strategy } }),
        ],
        stdin: "null",
        stdout: "piped",
        stderr: "inherit",
      },
    ).output();
    if (!success) throw new Error(`${runtime.name} failed (${signal ?? code})`);
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    return JSON.parse(lines.at(-1) ?? "") as LatencyResult;
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

const figure = (ms: number) => Number.isNaN(ms) ? "" : ms.toFixed(3);

function rowsOf(phase: PhaseResult, group: number): string[][] {
  const row = (what: string, times: Percentiles) => [
    phase.name,
    what,
    ...[times.p50, times.p99, times.p999, times.max].map(figure),
    thousands(times.count),
  ];
  return [
    row("get of a cached key", phase.get),
    row("timer too late by", phase.lag),
    row("the same at any moment", phase.lagAtAnyMoment),
    ...(phase.write.count > 0
      ? [row(`${group} puts acknowledged`, phase.write)]
      : []),
  ];
}

function describe(phase: PhaseResult): string {
  const rate = phase.entries / phase.seconds;
  return `${phase.name}: ${thousands(phase.entries)} entries in ` +
    `${phase.seconds.toFixed(1)} s (${thousands(rate)}/s), ` +
    `${phase.flushes} flushes, ${phase.compactions} compactions, ` +
    `${thousands(phase.stalls)} writes stalled, ` +
    `${phase.stallSeconds.toFixed(1)} s; ` +
    `${thousands(phase.cacheMisses)} lookups read a block\n`;
}

/** What was worse than it may be, and what was not tested. */
function complaintsOf(name: string, { phases }: LatencyResult): string[] {
  const complaints: string[] = [];
  const writing = phases.filter(({ entries }) => entries > 0);
  for (const { name: phase, get, lag } of writing) {
    const check = (what: string, found: number, most: number) => {
      // Negated, so that no figure at all is a failure too.
      if (!(found <= most)) {
        complaints.push(
          `${name}, ${phase}: ${what} is ${figure(found)} ms, over ${most} ms`,
        );
      }
    };
    check("get p99.9", get.p999, GET_P999_MAX_MS);
    check("lag p99", lag.p99, LAG_P99_MAX_MS);
  }
  const idle = phases.find(({ entries }) => entries === 0)?.lag.p99 ?? NaN;
  if (complaints.length > 0 && idle > LAG_P99_MAX_MS) {
    complaints.push(
      `${name}, idle: lag p99 is ${figure(idle)} ms; the machine is too busy ` +
        `for this run to say much`,
    );
  }
  if (writing.length === 0) complaints.push(`${name}: nothing was written`);
  return complaints;
}

const complaints: string[] = [];
for (const name of runtimesOf(values.runtime)) {
  const runtime = await findRuntime(name);
  const result = await runChild(runtime);
  console.log(
    `${name} ${runtime.version}, flushes and compactions ` +
      `${result.background}, ${result.tables} tables at the end; ` +
      `milliseconds\n`,
  );
  printTable(
    ["while", "what", "p50", "p99", "p99.9", "max", "samples"],
    result.phases.flatMap((phase) => rowsOf(phase, result.group)),
    TEXT_COLUMNS,
  );
  for (const phase of result.phases) {
    if (phase.entries > 0) console.log(describe(phase));
  }
  complaints.push(...complaintsOf(name, result));
}
for (const complaint of complaints) console.log(`BROKEN ${complaint}`);
console.log(
  complaints.length === 0 ? "all bounds kept" : `${complaints.length} broken`,
);
Deno.exit(complaints.length === 0 ? 0 : 1);
