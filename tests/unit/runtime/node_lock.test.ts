/**
 * The lock of Node on Linux, with and without the program flock(1).
 *
 * `PATH` decides: it is pointed at directories with made-up programs.
 */
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  writeFileSync,
} from "node:fs";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { nodeLock } from "../../../lib/runtime/node_lock.ts";
import { selectRuntime } from "../../../lib/runtime/select.ts";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "../../assert.ts";
import { withTempDir } from "../../temp.ts";

const { name } = await selectRuntime();

const hasFlock = process.platform === "linux" &&
  spawnSync("flock", ["--version"]).error === undefined;

/** Why these tests do not run here, if they do not. */
const skip = process.platform !== "linux"
  ? "the lock by description is Linux's"
  : name !== "node"
  ? `${name} locks without it`
  : false;
const skipWithoutFlock = skip !== false
  ? skip
  : hasFlock
  ? false
  : "flock(1) is not on PATH";

/** Runs `body` with `PATH` pointing at a directory with this flock(1). */
async function withFlock(
  dir: string,
  script: string | undefined,
  body: () => Promise<void>,
): Promise<void> {
  const programs = `${dir}/programs`;
  mkdirSync(programs, { recursive: true });
  if (script !== undefined) {
    writeFileSync(`${programs}/flock`, `#!/bin/sh\n${script}\n`);
    chmodSync(`${programs}/flock`, 0o755);
  }
  const path = process.env.PATH;
  process.env.PATH = programs;
  try {
    await body();
  } finally {
    process.env.PATH = path;
  }
}

/** The error of a lock that is not had. */
async function refusal(path: string): Promise<[string, string]> {
  const error = await assertRejects(() => nodeLock(path), VarveError);
  return [error.code, error.message];
}

/** What a lock held in this process by this test is refused with. */
function lockedMessage(dir: string): [string, string] {
  return ["LOCKED", `${dir} is open in another handle (pid ${process.pid})`];
}

test(
  "without flock(1) the lock is exclusive too",
  { skip },
  () =>
    withTempDir((dir) =>
      withFlock(dir, undefined, async () => {
        const path = `${dir}/LOCK`;
        const lock = await nodeLock(path);
        assertEquals(await refusal(path), lockedMessage(dir));
        (await nodeLock(`${dir}/OTHER`)).release();
        lock.release();
        lock.release();
        const again = await nodeLock(path);
        assertEquals(await refusal(path), lockedMessage(dir));
        again.release();
      })
    ),
);

test("without flock(1) the flock of others is seen", {
  skip: skipWithoutFlock,
}, () =>
  withTempDir(async (dir) => {
    const path = `${dir}/LOCK`;
    const lock = await nodeLock(path);
    await withFlock(dir, undefined, async () => {
      assertEquals(await refusal(path), lockedMessage(dir));
      lock.release();
      (await nodeLock(path)).release();
    });
  }));

test("with flock(1) a Node without it is seen", {
  skip: skipWithoutFlock,
}, () =>
  withTempDir(async (dir) => {
    const path = `${dir}/LOCK`;
    await withFlock(dir, undefined, async () => {
      const lock = await nodeLock(path);
      process.env.PATH = "/usr/bin:/bin";
      assertEquals(await refusal(path), lockedMessage(dir));
      lock.release();
      (await nodeLock(path)).release();
    });
  }));

test(
  "a refusal leaves no lock behind",
  { skip: skipWithoutFlock },
  () =>
    withTempDir(async (dir) => {
      const path = `${dir}/LOCK`;
      await withFlock(dir, undefined, async () => {
        const lock = await nodeLock(path);
        await refusal(path);
        lock.release();
      });
      const lock = await nodeLock(path);
      await refusal(path);
      lock.release();
      (await nodeLock(path)).release();
    }),
);

test(
  "a flock(1) that fails is an IO error, not a held lock",
  { skip },
  () =>
    withTempDir(async (dir) => {
      const failures = [
        "echo 'flock: 3: No locks available' >&2; exit 1",
        "echo 'flock: Bad file descriptor' >&2; exit 65",
        "exit 65",
        "kill -9 $$",
      ];
      for (const script of failures) {
        await withFlock(dir, script, async () => {
          const [code, message] = await refusal(`${dir}/LOCK`);
          assertEquals(code, "IO", script);
          assertStringIncludes(message, `cannot lock ${dir}/LOCK: `);
          assertStringIncludes(message, "flock(1) failed with ");
        });
      }
      // BusyBox: silent, status 1.
      await withFlock(dir, "exit 1", async () => {
        assertEquals((await refusal(`${dir}/LOCK`))[0], "LOCKED");
      });
    }),
);

test(
  "a failed lock leaks no descriptor",
  { skip },
  () =>
    withTempDir((dir) =>
      withFlock(dir, "exit 65", async () => {
        const before = openSync("/dev/null", "r");
        closeSync(before);
        for (let i = 0; i < 20; i++) await refusal(`${dir}/LOCK`);
        const after = openSync("/dev/null", "r");
        closeSync(after);
        assert(after < before + 10, `descriptor ${before}, then ${after}`);
      })
    ),
);
