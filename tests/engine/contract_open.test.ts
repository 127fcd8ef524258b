/**
 * The contract of `open`: creating, refusing, locking, and leaving alone what
 * is not the engine's.
 *
 * @module
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { type Db, VarveError } from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStringIncludes,
} from "../assert.ts";
import { open } from "../open.ts";
import { withTempDir } from "../temp.ts";
import { filled, rows, text } from "./support/bytes.ts";
import { Child } from "./support/child.ts";
import { LONG } from "./support/configs.ts";
import { rejectsWith } from "./support/errors.ts";
import { kindOf } from "./support/files.ts";

const QUIET = { compaction: { background: "off" } } as const;

test("open() makes the directory, and those above it", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/a/b/c`;
    await using db = await open(path);
    await db.put("k", "v");
    assert(existsSync(path));
  }));

test("open() takes a path with spaces, other letters and a slash at its end", () =>
  withTempDir(async (dir) => {
    for (const name of ["with space", "naïve-名前", "slash/", "./dot/../dot"]) {
      const first = await open(`${dir}/${name}`);
      await first.put("k", name);
      await first.close();
      await using second = await open(`${dir}/${name}`);
      assertEquals(text(second.get("k")), name);
    }
  }));

test("open() of an empty directory makes a database there", () =>
  withTempDir(async (dir) => {
    await using db = await open(dir, { errorIfExists: true });
    assertEquals(rows(db.scan()), []);
  }));

test("createIfMissing: false is NOT_FOUND where there is none, and makes nothing", () =>
  withTempDir(async (dir) => {
    const options = { createIfMissing: false };
    const path = `${dir}/absent`;
    const error = await rejectsWith("NOT_FOUND", () => open(path, options));
    assertStringIncludes(error.message, path);
    assert(!existsSync(path));
    writeFileSync(`${dir}/notes.txt`, "mine");
    await rejectsWith("NOT_FOUND", () => open(dir, options));
    await (await open(dir)).close();
    await (await open(dir, options)).close();
  }));

test("errorIfExists: true is EXISTS where there is one, and changes nothing", () =>
  withTempDir(async (dir) => {
    const first = await open(dir);
    await first.put("k", "v");
    await first.close();
    const options = { errorIfExists: true };
    const error = await rejectsWith("EXISTS", () => open(dir, options));
    assertStringIncludes(error.message, dir);
    // The refused opening holds no lock.
    await using second = await open(dir);
    assertEquals(text(second.get("k")), "v");
  }));

test("a path that is a file is IO, and the file stays", () =>
  withTempDir(async (dir) => {
    const path = `${dir}/file`;
    writeFileSync(path, "mine");
    const error = await rejectsWith("IO", () => open(path));
    assertStringIncludes(error.message, path);
    await rejectsWith("IO", () => open(`${path}/below`));
    assertEquals(readFileSync(path, "utf8"), "mine");
  }));

test("an IO error says operation, file and errno, and keeps its cause", () =>
  withTempDir(async (dir) => {
    writeFileSync(`${dir}/file`, "mine");
    const error = await rejectsWith("IO", () => open(`${dir}/file/db`));
    assertMatch(error.message, /ENOTDIR|EEXIST/);
    assertStringIncludes(error.message, `${dir}/file`);
    assert(error.cause instanceof Error, "the runtime's error is the cause");
    assertEquals(error.name, "VarveError");
    assertInstanceOf(error, VarveError);
  }));

test("a database that is open is LOCKED: path and pid", () =>
  withTempDir(async (dir) => {
    await using db = await open(dir);
    const error = await rejectsWith("LOCKED", () => open(dir));
    assertStringIncludes(error.message, dir);
    assertStringIncludes(error.message, String(process.pid));
    await db.put("k", "the holder is not disturbed");
    await db.close();
    await (await open(dir)).close();
  }));

test("of two openers at once, one gets the database", () =>
  withTempDir(async (dir) => {
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => open(dir)));
    const got = outcomes.filter((outcome) => outcome.status === "fulfilled");
    assertEquals(got.length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      assertInstanceOf(outcome.reason, VarveError);
      assertEquals(outcome.reason.code, "LOCKED");
    }
    await got[0].value.put("k", "v");
    await got[0].value.close();
  }));

test("a path through a symbolic link is the same database", () =>
  withTempDir(async (dir) => {
    const real = `${dir}/real`;
    mkdirSync(real);
    symlinkSync(real, `${dir}/link`);
    symlinkSync(dir, `${dir}/parent`);
    const first = await open(`${dir}/link`);
    for (const path of [real, `${dir}/link`, `${dir}/parent/real`]) {
      await rejectsWith("LOCKED", () => open(path));
    }
    await first.put("k", "v");
    await first.close();
    await using second = await open(`${dir}/parent/real`);
    assertEquals(text(second.get("k")), "v");
    await rejectsWith("LOCKED", () => open(`${dir}/link`));
  }));

test(
  "a database that another process holds is LOCKED until that one is gone",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const child = new Child("holder_child.ts", [dir]);
      try {
        const { pid } = await child.line() as { pid: number };
        const error = await rejectsWith("LOCKED", () => open(dir));
        assertStringIncludes(error.message, String(pid));
      } finally {
        await child.kill();
      }
      await using db = await open(dir);
      assertEquals(text(db.get("held by")), String(child.pid));
    }),
);

test(
  "a process that closed its database ends by itself",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const child = new Child("holder_child.ts", [dir]);
      await child.line();
      child.endInput();
      assertEquals(await child.line(), "closed");
      assertEquals(await child.exited(), 0);
      await (await open(dir)).close();
    }),
);

test("a left-over lock file blocks nobody, whatever it says", () =>
  withTempDir(async (dir) => {
    await (await open(dir)).close();
    const locks = readdirSync(dir).filter((name) => kindOf(name) === "lock");
    for (const name of locks) {
      // A living process, no process, and no number at all.
      for (const content of [String(process.pid), "999999999", "", "\0x"]) {
        writeFileSync(`${dir}/${name}`, content);
        await (await open(dir)).close();
      }
    }
  }));

/** A few writes in every layer, then every kind of maintenance. */
async function exercise(db: Db): Promise<void> {
  for (let i = 0; i < 40; i++) await db.put(`k${i}`, filled(200, i));
  await db.deleteRange("k1", "k2");
  await db.flush();
  await db.put("k1", "again");
  await db.flush();
  await db.minorCompact();
  await db.majorCompact();
}

test(
  "files that are not the engine's are never touched",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const own = [
        "notes.txt",
        "data.sst.tmp",
        "README",
        ".hidden",
        "backup.1",
      ];
      for (const name of own) writeFileSync(`${dir}/${name}`, `mine: ${name}`);
      mkdirSync(`${dir}/folder`);
      writeFileSync(`${dir}/folder/file`, "mine");
      for (let life = 0; life < 2; life++) {
        await using db = await open(dir, { ...QUIET, writeBufferSize: 1024 });
        await exercise(db);
      }
      for (const name of own) {
        assertEquals(readFileSync(`${dir}/${name}`, "utf8"), `mine: ${name}`);
      }
      assertEquals(readFileSync(`${dir}/folder/file`, "utf8"), "mine");
    }),
);

test(
  "many databases may be open at once",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const names = ["a", "b", "c", "d", "e"];
      const all = await Promise.all(
        names.map((name) => open(`${dir}/${name}`)),
      );
      await Promise.all(all.map((db, i) => db.put("name", names[i])));
      await Promise.all(all.map((db) => db.flush()));
      all.forEach((db, i) => assertEquals(text(db.get("name")), names[i]));
      await Promise.all(all.map((db) => db.close()));
    }),
);
