/** The bound on open files. */
import { test } from "node:test";
import { OpenFiles } from "../../../lib/cache/open_files.ts";
import { assert, assertEquals, assertLessOrEqual } from "../../assert.ts";
import { Random } from "../../engine/support/random.ts";
import { makeManyTables, readByTurns } from "../support/many_tables.ts";
import { newContext, newFiles } from "../support/tables.ts";

/** An owner that notes its openings and closings. */
class Owner {
  isOpen = false;
  readonly #open: OpenFiles;

  constructor(open: OpenFiles) {
    this.#open = open;
  }

  use(): void {
    if (this.isOpen) return;
    this.#open.add(this);
    this.isOpen = true;
  }

  closeFile(): void {
    this.isOpen = false;
    this.#open.remove(this);
  }
}

test("at most so many files are open, and whoever opens has its file open", () => {
  for (const most of [1, 2, 7]) {
    const open = new OpenFiles(most);
    const owners = Array.from({ length: 20 }, () => new Owner(open));
    const random = new Random(most);
    let countMost = 0;
    for (let step = 0; step < 500; step++) {
      const owner = random.pick(owners);
      if (random.chance(10)) owner.closeFile();
      else {
        owner.use();
        assert(owner.isOpen);
      }
      const count = owners.filter(({ isOpen }) => isOpen).length;
      assertLessOrEqual(count, most, `seed ${most}, step ${step}`);
      countMost = Math.max(countMost, count);
    }
    assertEquals(countMost, most);
  }
});

test("the file that was opened first is closed first", () => {
  const open = new OpenFiles(3);
  const owners = Array.from({ length: 5 }, () => new Owner(open));
  for (const owner of owners) owner.use();
  assertEquals(owners.map(({ isOpen }) => isOpen), [
    false,
    false,
    true,
    true,
    true,
  ]);
});

test("a file closed by its owner makes room", () => {
  const open = new OpenFiles(2);
  const [a, b, c] = Array.from({ length: 3 }, () => new Owner(open));
  a.use();
  b.use();
  a.closeFile();
  c.use();
  assertEquals([a.isOpen, b.isOpen, c.isOpen], [false, true, true]);
});

test("many tables are read through few files, cursors in the middle of them included", () => {
  const files = newFiles();
  let open = 0;
  let openMost = 0;
  const context = {
    ...newContext(files, 0, 4),
    files: Object.assign(Object.create(files), {
      open(path: string, mode: "read" | "create") {
        const file = files.open(path, mode);
        openMost = Math.max(openMost, ++open);
        const close = file.close.bind(file);
        let isClosed = false;
        file.close = () => {
          if (!isClosed) open--;
          isClosed = true;
          close();
        };
        return file;
      },
    }),
  };
  const tables = makeManyTables(files, context);
  readByTurns(tables);
  assertLessOrEqual(openMost, 4);
  for (const table of tables) table.close();
  assertEquals(open, 0);
});
