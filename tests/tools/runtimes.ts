/**
 * Finds the three runtimes that the tests run on.
 *
 * A machine needs nothing but npm: what is not installed is taken from the npm
 * packages `bun` and `node` at the versions pinned here, into npx's own cache.
 * The path of the binary is asked for once, because `npx` per call is slow.
 *
 * Runs on Deno only: it is part of the runner, not of a test.
 *
 * @module
 */

/** Name of a runtime, in the order in which they run. */
export const RUNTIMES = ["deno", "bun", "node"] as const;
/** Name of a runtime. */
export type RuntimeName = typeof RUNTIMES[number];

/** The versions that the project is tested with. */
export const PINNED: Record<RuntimeName, string> = {
  deno: "2.9.6",
  bun: "1.4.5",
  node: "24.21.0",
};

/** The first Node that takes TypeScript and is supported. */
const NODE_MAJOR_MIN = 24;

/** A runtime that can be started. */
export interface Runtime {
  readonly name: RuntimeName;
  readonly path: string;
  readonly version: string;
}

interface Answer {
  readonly ok: boolean;
  readonly text: string;
  readonly complaint: string;
}

async function ask(command: string, args: string[]): Promise<Answer> {
  try {
    const output = await new Deno.Command(command, {
      args,
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return {
      ok: output.success,
      text: decoder.decode(output.stdout).trim(),
      complaint: decoder.decode(output.stderr).trim(),
    };
  } catch (error) {
    return { ok: false, text: "", complaint: String(error) };
  }
}

/** Whether a `bun` or `node` found on PATH may be used. */
export function isUsable(name: RuntimeName, version: string): boolean {
  if (name === "node") return Number.parseInt(version) >= NODE_MAJOR_MIN;
  return version === PINNED[name];
}

/** The path and version of a command that is bun or node, if it starts. */
async function identify(
  name: RuntimeName,
  command: string,
): Promise<Runtime | undefined> {
  const print =
    "[process.execPath, process.versions.bun ?? process.versions.node].join(' ')";
  const answer = await ask(command, ["-p", print]);
  const line = answer.text.split("\n").at(-1) ?? "";
  const cut = line.lastIndexOf(" ");
  if (!answer.ok || cut < 0) return undefined;
  return { name, path: line.slice(0, cut), version: line.slice(cut + 1) };
}

/** Takes the pinned version from npm. */
async function fetchPinned(name: RuntimeName): Promise<Runtime> {
  const spec = `${name}@${PINNED[name]}`;
  const npx = Deno.build.os === "windows" ? "npx.cmd" : "npx";
  const answer = await ask(npx, [
    "--yes",
    "--package",
    spec,
    "--",
    name,
    "-p",
    "process.execPath",
  ]);
  const path = answer.text.split("\n").at(-1) ?? "";
  const found = answer.ok ? await identify(name, path) : undefined;
  if (found?.version === PINNED[name]) return found;
  throw new Error(
    `${spec} cannot be had from npm (${npx} answered: ${
      answer.complaint || answer.text || "nothing"
    })`,
  );
}

/**
 * Finds a runtime: the running Deno; the one that `VARVE_BUN` or `VARVE_NODE`
 * names, as the runner does for its tests; one on PATH that fits; else npm's.
 */
export async function findRuntime(name: RuntimeName): Promise<Runtime> {
  if (name === "deno") {
    return { name, path: Deno.execPath(), version: Deno.version.deno };
  }
  const named = Deno.env.get(`VARVE_${name.toUpperCase()}`);
  const installed = await identify(name, named ?? name);
  if (installed !== undefined && isUsable(name, installed.version)) {
    return installed;
  }
  return await fetchPinned(name);
}
