/**
 * Golden fixtures: databases written in the past are read, on every runtime,
 * and what is written today has the bytes that were agreed on.
 */
import {
  cpSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { open } from "../../mod.ts";
import { assert, assertEquals, assertGreater, assertLess } from "../assert.ts";
import { LONG } from "../engine/support/configs.ts";
import { rejectsWith } from "../engine/support/errors.ts";
import type { ModelRow } from "../engine/support/model.ts";
import { withTempDir } from "../temp.ts";
import { assertHolds } from "./support/contents.ts";
import { toBytes } from "./support/entries.ts";
import {
  FORMAT,
  formatOf,
  isCompressed,
  makeInMemory,
  RECIPES,
} from "./support/recipes.ts";

const FIXTURES = fileURLToPath(new URL("../fixtures", import.meta.url));

const CHANGED = "What is written has changed. If a release that is out could " +
  "not read it, raise the format's version and keep a reader of the old one; " +
  "tests/fixtures/make.ts says how";

interface Fixture {
  readonly name: string;
  readonly path: string;
  readonly rows: ModelRow[];
}

/** All fixtures of all formats that ever were. */
function listFixtures(): Fixture[] {
  return readdirSync(FIXTURES).filter((name) => /^v\d+$/.test(name)).flatMap(
    (format) => {
      const path = join(FIXTURES, format, "expected.json");
      const expected: Record<string, [string, string][]> = JSON.parse(
        readFileSync(path, "utf8"),
      );
      return Object.entries(expected).map(([name, rows]) => ({
        name: `${format}/${name}`,
        path: join(FIXTURES, format, name),
        rows: rows.map(([key, value]): ModelRow => [key, toBytes(value)]),
      }));
    },
  );
}

/** Runs `body` with a copy of a fixture, which an opening may change. */
function withCopy(
  fixture: Fixture,
  body: (dir: string) => Promise<void>,
): Promise<void> {
  return withTempDir((dir) => {
    const copy = join(dir, "db");
    cpSync(fixture.path, copy, { recursive: true });
    return body(copy);
  });
}

test("there are fixtures of every situation, and they are small", () => {
  const fixtures = listFixtures();
  const names = fixtures.map(({ name }) => name);
  for (const recipe of RECIPES) {
    const { name } = recipe;
    assert(names.includes(`${formatOf(recipe)}/${name}`), name);
  }
  let bytes = 0;
  for (const { path, name } of fixtures) {
    const files = readdirSync(path);
    assert(files.includes("CURRENT"), name);
    for (const file of files) bytes += statSync(join(path, file)).size;
  }
  assertLess(bytes, 100_000);
  assertGreater(fixtures.filter(({ rows }) => rows.length > 10).length, 5);
});

for (const fixture of listFixtures()) {
  test(
    `a database of the past opens and holds what it held: ${fixture.name}`,
    LONG,
    () =>
      withCopy(fixture, async (dir) => {
        {
          await using db = await open(dir, { createIfMissing: false });
          assertHolds(db, fixture.rows, "opened");
        }
        const added: ModelRow[] = [...fixture.rows, [
          "\xff\xff\xff",
          toBytes("new"),
        ]];
        {
          await using db = await open(dir, { createIfMissing: false });
          await db.put(toBytes("\xff\xff\xff"), "new");
          assertHolds(db, added, "written to");
          await db.majorCompact();
          assertHolds(db, added, "compacted");
        }
        await using db = await open(dir, { createIfMissing: false });
        assertHolds(db, added, "opened again");
      }),
  );
}

for (const recipe of RECIPES) {
  if (isCompressed(recipe.options)) continue;
  test(
    `what is written has the bytes of the fixture: ${FORMAT}/${recipe.name}`,
    LONG,
    async () => {
      const path = join(FIXTURES, FORMAT, recipe.name);
      const { files } = await makeInMemory(recipe);
      assertEquals([...files.keys()], readdirSync(path).sort(), CHANGED);
      for (const [name, bytes] of files) {
        const golden = new Uint8Array(readFileSync(join(path, name)));
        assertEquals(bytes, golden, `${CHANGED} (${name})`);
      }
    },
  );
}

test("a recipe writes the same bytes each time", async () => {
  for (const recipe of RECIPES) {
    const [one, two] = [await makeInMemory(recipe), await makeInMemory(recipe)];
    assertEquals([...one.files], [...two.files], recipe.name);
  }
});

test(
  "a fixture that lost the end of a file does not open as an emptier database",
  LONG,
  async () => {
    // Only the newest log may be shorter than it was, and that by its tail.
    const fixture = listFixtures().find(({ name }) =>
      name === `${FORMAT}/closed-tables`
    );
    assert(fixture !== undefined);
    for (const file of readdirSync(fixture.path)) {
      await withCopy(fixture, async (dir) => {
        const path = join(dir, file);
        truncateSync(path, statSync(path).size - 1);
        if (file.startsWith("MANIFEST")) {
          // Its last record says where the log ends, which the log says too.
          await using db = await open(dir);
          assertHolds(db, fixture.rows, file);
        } else await rejectsWith("CORRUPTION", () => open(dir));
      });
    }
  },
);
