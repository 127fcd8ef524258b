/**
 * Runs the benchmarks and prints Markdown tables: `deno task bench`.
 *
 * ```text
 *   --peers NAME     none, all, or a store beside Varve; may be repeated
 *                    (default: none)
 *   --runtime NAME   deno, bun or node; may be repeated (default: deno and bun)
 *   --size N         entries; may be repeated (default: 100000 and 500000)
 *   --only NAME      a measurement or scenario; may be repeated (default: all)
 *   --rounds N       interleaved rounds, of which medians are shown (default 1)
 *   --directory DIR  where the stores are made (default: the temporary directory)
 *   --json FILE      writes every result of every round there too, as they come
 *   --charts DIR     draws the results there as SVG
 *   --quick          10,000 entries, for a look
 * ```
 *
 * Peers are the stores of `stores/registry.ts`, and LevelDB and RocksDB in C++,
 * `leveldb-native` and `rocksdb-native`, which run beside the runtimes. Of the
 * packages that are needed those of `peers/package.json` are installed into
 * `peers/node_modules` when a peer is asked for that needs one; nothing of the
 * library uses them. The programs in C++ are compiled if there is a compiler
 * and the libraries' headers, else `--peers all` goes without them.
 *
 * Each step of each scenario is a fresh process on a fresh directory. Rounds
 * are interleaved over the stores and runtimes, so that a slow minute of the
 * machine falls on all of them.
 *
 * @module
 */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { findRuntime, type RuntimeName } from "../tests/tools/runtimes.ts";
import { runtimesOf, wholeNumber } from "./arguments.ts";
import { chartsOf } from "./charts.ts";
import { machineName, thousands } from "./machine.ts";
import type { Scenario } from "./measure.ts";
import { NATIVE_STORES, nativeTarget } from "./native/build.ts";
import { installPeers } from "./install_peers.ts";
import { printReport, writeCharts } from "./report.ts";
import type { Results } from "./results.ts";
import { runScenario, type Target, targetOf } from "./run_step.ts";
import { SCENARIOS } from "./scenarios.ts";
import { isOwn, OWN, OWN_INTO, STORES } from "./stores/registry.ts";

const QUICK_SIZE = 10_000;
const DEFAULT_SIZES = [100_000, 500_000];

/** What the command line asks for. */
interface Settings {
  readonly peers: string[];
  readonly runtimes: readonly RuntimeName[];
  readonly sizes: number[];
  readonly only: string[];
  readonly rounds: number;
  readonly directory: string;
  readonly json: string | undefined;
  readonly charts: string | undefined;
}

function readSettings(): Settings {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      peers: { type: "string", multiple: true, default: [] },
      runtime: { type: "string", multiple: true },
      size: { type: "string", multiple: true },
      only: { type: "string", multiple: true, default: [] },
      rounds: { type: "string", default: "1" },
      directory: { type: "string", default: tmpdir() },
      json: { type: "string" },
      charts: { type: "string" },
      quick: { type: "boolean", default: false },
    },
  });
  const sizes = values.size?.map((text) => wholeNumber("--size", text));
  const names = SCENARIOS.flatMap(({ name, measures }) => [name, ...measures]);
  for (const name of values.only) {
    if (!names.includes(name)) {
      throw new Error(`--only ${name}: there are ${names.join(", ")}`);
    }
  }
  return {
    peers: values.peers,
    runtimes: runtimesOf(values.runtime),
    sizes: sizes ?? (values.quick ? [QUICK_SIZE] : DEFAULT_SIZES),
    only: values.only,
    rounds: wholeNumber("--rounds", values.rounds),
    directory: values.directory,
    json: values.json,
    charts: values.charts,
  };
}

/** The names of the stores to be measured, Varve first. */
function wantedStores(peers: readonly string[]): string[] {
  const all = [
    ...STORES.map(({ name }) => name).filter((name) => !isOwn(name)),
    ...NATIVE_STORES,
  ];
  for (const name of peers) {
    if (name !== "none" && name !== "all" && !all.includes(name)) {
      throw new Error(`--peers ${name}: none, all, ${all.join(", ")}`);
    }
  }
  const isWanted = (name: string) =>
    peers.includes("all") || peers.includes(name);
  return [OWN, OWN_INTO, ...all.filter(isWanted)];
}

/** What is measured: each store on each of the runtimes that it runs on. */
async function findTargets(
  settings: Settings,
  versions: string[],
): Promise<Target[]> {
  const names = wantedStores(settings.peers);
  const kinds = STORES.filter(({ name }) => names.includes(name));
  if (kinds.some(({ needs }) => needs !== undefined)) await installPeers();
  const targets: Target[] = [];
  for (const name of settings.runtimes) {
    const runtime = await findRuntime(name);
    versions.push(`${name} ${runtime.version}`);
    for (const kind of kinds) {
      if (kind.runtimes.includes(name)) targets.push(targetOf(kind, runtime));
    }
  }
  for (const name of NATIVE_STORES) {
    if (!names.includes(name)) continue;
    const target = await nativeTarget(name);
    if (target !== undefined) targets.push(target);
    else if (settings.peers.includes(name)) {
      throw new Error(`${name} cannot be compiled here`);
    }
  }
  return targets;
}

/** The scenarios asked for, each with those of its measurements that are. */
function wantedScenarios(only: string[]): [Scenario, string[]][] {
  const wanted: [Scenario, string[]][] = [];
  for (const scenario of SCENARIOS) {
    const { name, measures } = scenario;
    const isWhole = only.length === 0 || only.includes(name);
    const names = measures.filter((measure) => only.includes(measure));
    if (isWhole || names.length > 0) {
      wanted.push([scenario, isWhole ? [] : names]);
    }
  }
  return wanted;
}

/** Writes the results so far to the file that is wanted, if one is. */
function keep({ json }: Settings, results: Results): void {
  if (json === undefined) return;
  writeFileSync(json, JSON.stringify(results, null, 2) + "\n");
}

/** Every scenario of every target in every round; one that fails is left out, and said. */
async function runAll(
  settings: Settings,
  targets: readonly Target[],
  results: Results,
  failures: string[],
): Promise<void> {
  for (let round = 1; round <= settings.rounds; round++) {
    for (const size of settings.sizes) {
      for (const [scenario, only] of wantedScenarios(settings.only)) {
        for (const target of targets) {
          if (!target.takes(scenario)) continue;
          const { store, runtime } = target;
          const what = `round ${round}: ${scenario.name}, ` +
            `${thousands(size)} entries, ${store}, ${runtime}`;
          console.error(what);
          const place = {
            round,
            store,
            runtime,
            size,
            scenario: scenario.name,
          };
          try {
            const { measurements, facts } = await runScenario(
              target,
              scenario,
              size,
              settings.directory,
              only,
            );
            results.rows.push(...measurements.map((m) => ({ ...place, ...m })));
            if (facts !== undefined) results.facts.push({ ...place, ...facts });
          } catch (error) {
            failures.push(`${what}: ${error}`);
            console.error(String(error));
          }
        }
        keep(settings, results); // A run may take hours and be cut short.
      }
    }
  }
}

const settings = readSettings();
const machine = machineName();
const versions: string[] = [];
const targets = await findTargets(settings, versions);
const { rounds } = settings;
const results: Results = { machine, versions, rounds, rows: [], facts: [] };
const failures: string[] = [];
await runAll(settings, targets, results, failures);
printReport(results);
if (settings.charts !== undefined) {
  writeCharts(chartsOf(results), settings.charts);
}
for (const failure of failures) console.log(`FAILED ${failure}`);
if (failures.length > 0) Deno.exit(1);
