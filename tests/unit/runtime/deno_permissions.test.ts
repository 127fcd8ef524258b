/**
 * Deno needs to read and to write the database's directory, and nothing else.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { selectRuntime } from "../../../lib/runtime/select.ts";
import { assertEquals, assertMatch } from "../../assert.ts";
import { withTempDir } from "../../temp.ts";

const { name } = await selectRuntime();
const skip = name === "deno" ? false : `${name} has no such permissions`;

const SELECT_URL = new URL("../../../lib/runtime/select.ts", import.meta.url);

/** Runs a module on a Deno that has only these permissions; its output. */
function run(
  cwd: string,
  flags: string[],
  database: string,
  body: string,
): string {
  const program = `${cwd}/program.ts`;
  writeFileSync(
    program,
    `import { selectRuntime } from ${JSON.stringify(SELECT_URL.href)};
     const { files, pause } = await selectRuntime();
     const db = ${JSON.stringify(database)};
     try { ${body} console.log("done"); } catch (error) {
       console.log(error.code + ": " + error.message);
     }`,
  );
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["run", "--no-prompt", "--no-check", "--no-config", ...flags, program],
    { cwd, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
  );
  return (stdout + stderr).trim();
}

const EVERYTHING = `
  files.makeDirectory(db);
  const lock = await files.lock(db + "/LOCK");
  const file = files.open(db + "/a", "create");
  file.writeAt(new Uint8Array(100), 0);
  await file.sync();
  file.syncNow();
  file.readAt(new Uint8Array(100), 0);
  if (file.size() !== 100) throw new Error("size");
  file.close();
  files.rename(db + "/a", db + "/b");
  files.syncDirectory(db);
  if (files.list(db).sort().join() !== "LOCK,b") throw new Error("list");
  if (files.stat(db + "/b").size !== 100) throw new Error("stat");
  files.open(db + "/b", "read").close();
  files.remove(db + "/b");
  lock.release();
  await pause();
  // Were everything allowed, all of the above would prove nothing.
  let refusal = "";
  try { files.list("/"); } catch (error) { refusal = error.message; }
  if (!refusal.includes("NotCapable")) throw new Error("not restricted");
`;

test(
  "every operation runs with read and write of the directory",
  { skip },
  () =>
    withTempDir((dir) => {
      const flags = [`--allow-read=${dir}/db`, `--allow-write=${dir}/db`];
      assertEquals(run(dir, flags, `${dir}/db`, EVERYTHING), "done");
      // Again, now that the directory exists.
      assertEquals(run(dir, flags, `${dir}/db`, EVERYTHING), "done");
    }),
);

test("a relative path needs no more", { skip }, () =>
  withTempDir((dir) => {
    for (const database of ["db", "./db2", "db3/deep/er"]) {
      const top = database.replace(/^\.\//, "").replace(/\/.*/, "");
      const flags = [`--allow-read=${top}`, `--allow-write=${top}`];
      assertEquals(run(dir, flags, database, EVERYTHING), "done", database);
    }
  }));

test(
  "a directory reached through a link needs no more",
  { skip },
  () =>
    withTempDir((dir) => {
      mkdirSync(`${dir}/real`);
      symlinkSync(`${dir}/real`, `${dir}/link`);
      const flags = [`--allow-read=${dir}/link`, `--allow-write=${dir}/link`];
      assertEquals(run(dir, flags, `${dir}/link`, EVERYTHING), "done");
      assertEquals(run(dir, flags, `${dir}/link/db`, EVERYTHING), "done");
    }),
);

test(
  "a missing permission is an IO error that names the flag",
  { skip },
  () =>
    withTempDir((dir) => {
      mkdirSync(`${dir}/db`);
      const db = `${dir}/db`;
      const lock = `await files.lock(db + "/LOCK");`;
      assertMatch(
        run(dir, [`--allow-write=${db}`], db, lock),
        /^IO: cannot lock .*\/db\/LOCK: NotCapable \(missing permission, run again with --allow-read\)$/,
      );
      assertMatch(
        run(dir, [`--allow-read=${db}`], db, lock),
        /^IO: cannot lock .*\/db\/LOCK: NotCapable \(missing permission, run again with --allow-write\)$/,
      );
      assertMatch(
        run(dir, [`--allow-read=${dir}/other`], db, `files.stat(db);`),
        /^IO: cannot examine .*\/db: NotCapable \(.* --allow-read\)$/,
      );
    }),
);
