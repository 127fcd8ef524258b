/**
 * The lock between processes, on every mix of the runtimes that are found.
 *
 * This process plays one part, a process on each runtime the other.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import process from "node:process";
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { selectRuntime } from "../../../lib/runtime/select.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
} from "../../assert.ts";
import { withTempDir } from "../../temp.ts";

const { files, name: self } = await selectRuntime();

/** The first Node that takes TypeScript. */
const NODE_MAJOR_MIN = 24;

/** How a runtime is started on the text of a module. */
const EVAL_ARGUMENTS: Record<string, string[]> = {
  deno: ["eval", "--no-check"],
  bun: ["--eval"],
  node: ["--no-warnings", "--input-type=module", "--eval"],
};

/** The command of a runtime, or why there is none. */
function findCommand(name: string): { command: string } | { reason: string } {
  if (name === self) return { command: process.execPath };
  const { status, stdout, error } = spawnSync(name, ["--version"], {
    encoding: "utf8",
  });
  if (error !== undefined || status !== 0) {
    return { reason: `${name} is not on PATH` };
  }
  const major = Number.parseInt(stdout.replace(/^v/, ""));
  if (name === "node" && major < NODE_MAJOR_MIN) {
    return { reason: `${name} on PATH is ${stdout.trim()}` };
  }
  return { command: name };
}

const SELECT_URL = new URL("../../../lib/runtime/select.ts", import.meta.url);

/** Takes the lock on its first argument, says so, and holds it. */
const HOLDER = `
  import process from "node:process";
  import { selectRuntime } from ${JSON.stringify(SELECT_URL.href)};
  const { files } = await selectRuntime();
  const path = process.env.LOCK_PATH;
  try {
    globalThis.lock = await files.lock(path);
    console.log("held " + process.pid);
    setInterval(() => {}, 1000);
  } catch (error) {
    console.log(error.code + " " + error.message);
  }
`;

/** Another process that was asked to hold the lock. */
interface Other {
  /** Its first line. */
  readonly answer: string;
  /** Ends it at once, and waits until it is gone. */
  kill(): Promise<void>;
}

async function startHolder(
  name: string,
  command: string,
  path: string,
): Promise<Other> {
  const child: ChildProcess = spawn(
    command,
    [...EVAL_ARGUMENTS[name] ?? [], HOLDER],
    {
      env: { ...process.env, LOCK_PATH: path, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const exited = once(child, "exit");
  assert(child.stdout !== null);
  let answer = "";
  for await (const line of createInterface({ input: child.stdout })) {
    answer = line;
    break;
  }
  return {
    answer,
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

/** Asserts that this process is refused. */
async function assertLocked(path: string, message: string): Promise<void> {
  const error = await assertRejects(() => files.lock(path), VarveError);
  assertEquals([error.code, error.message], ["LOCKED", message]);
}

for (const other of ["deno", "bun", "node"]) {
  const found = findCommand(other);
  const skip = "reason" in found ? found.reason : false;
  if (skip !== false) console.log(`skipped: ${skip}`);
  const command = "command" in found ? found.command : "";

  test(`${self} is refused what ${other} holds, until ${other} is killed`, {
    skip,
  }, () =>
    withTempDir(async (dir) => {
      const path = `${dir}/LOCK`;
      const holder = await startHolder(other, command, path);
      try {
        const pid = /^held (\d+)$/.exec(holder.answer)?.[1];
        assert(pid !== undefined, holder.answer);
        await assertLocked(
          path,
          `${dir} is open in another handle (pid ${pid})`,
        );
        // A refused attempt must leave the holder's lock and its text alone.
        assertEquals(readFileSync(path, "utf8"), pid);
        await assertLocked(
          path,
          `${dir} is open in another handle (pid ${pid})`,
        );
      } finally {
        await holder.kill();
      }
      (await files.lock(path)).release();
    }));

  test(`${other} is refused what ${self} holds, until it is released`, {
    skip,
  }, () =>
    withTempDir(async (dir) => {
      const path = `${dir}/LOCK`;
      const lock = await files.lock(path);
      const refused = await startHolder(other, command, path);
      await refused.kill();
      assertEquals(
        refused.answer,
        `LOCKED ${dir} is open in another handle (pid ${process.pid})`,
      );
      await assertLocked(
        path,
        `${dir} is open in another handle (pid ${process.pid})`,
      );
      lock.release();
      const holder = await startHolder(other, command, path);
      await holder.kill();
      assert(holder.answer.startsWith("held "), holder.answer);
    }));
}

test("a second handle in this process is refused", () =>
  withTempDir(async (dir) => {
    const lock = await files.lock(`${dir}/LOCK`);
    await assertLocked(
      `${dir}/LOCK`,
      `${dir} is open in another handle (pid ${process.pid})`,
    );
    lock.release();
    (await files.lock(`${dir}/LOCK`)).release();
  }));

test("of many who ask at once, one gets the lock", () =>
  withTempDir(async (dir) => {
    const asked = Array.from({ length: 8 }, () => files.lock(`${dir}/LOCK`));
    const answers = await Promise.allSettled(asked);
    const held = answers.filter((answer) => answer.status === "fulfilled");
    assertEquals(held.length, 1);
    held.forEach((answer) => answer.value.release());
  }));

test("a left-over lock file never blocks, whatever it says", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/LOCK`;
    const leftOvers = [
      "",
      String(process.pid), // alive
      "1", // alive, and somebody else's
      "4194304",
      "not a pid\n",
      "\0".repeat(10_000),
    ];
    for (const text of leftOvers) {
      writeFileSync(path, text);
      const lock = await files.lock(path);
      assertEquals(readFileSync(path, "utf8"), String(process.pid));
      lock.release();
    }
  }));

test("a pid that cannot be read is left out", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/LOCK`;
    const lock = await files.lock(path);
    for (const text of ["", "abc", "-1", "0", "12x", "9".repeat(40)]) {
      writeFileSync(path, text);
      await assertLocked(path, `${dir} is open in another handle`);
    }
    writeFileSync(path, " 77\n");
    await assertLocked(path, `${dir} is open in another handle (pid 77)`);
    lock.release();
  }));

test("a symbolic link leads to the same lock", () =>
  withTempDir(async (dir) => {
    files.makeDirectory(`${dir}/real`);
    symlinkSync(`${dir}/real`, `${dir}/link`);
    const lock = await files.lock(`${dir}/real/LOCK`);
    await assertLocked(
      `${dir}/link/LOCK`,
      `${dir}/link is open in another handle (pid ${process.pid})`,
    );
    lock.release();
    const linked = await files.lock(`${dir}/link/LOCK`);
    await assertLocked(
      `${dir}/real/LOCK`,
      `${dir}/real is open in another handle (pid ${process.pid})`,
    );
    linked.release();
  }));

test("a lock that cannot be had for another reason is an IO error", () =>
  withTempDir(async (dir) => {
    files.makeDirectory(`${dir}/LOCK`);
    const error = await assertRejects(
      () => files.lock(`${dir}/LOCK`),
      VarveError,
    );
    assertStrictEquals(error.code, "IO");
    assert(error.message.startsWith(`cannot lock ${dir}/LOCK: EISDIR `));
  }));
