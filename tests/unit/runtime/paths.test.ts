import { test } from "node:test";
import { parentDirectory } from "../../../lib/runtime/paths.ts";
import { assertEquals } from "../../assert.ts";

test("parentDirectory() cuts the last name", () => {
  const cases: [string, string][] = [
    ["/a/b", "/a"],
    ["/a/b/", "/a"],
    ["/a//b", "/a"],
    ["/a", "/"],
    ["/", "/"],
    ["a", "."],
    ["a/", "."],
    ["a/b", "a"],
    ["./a", "."],
    ["../a", ".."],
    ["C:\\a\\b", "C:\\a"],
    ["C:\\a", "C:\\"],
    ["C:/a", "C:/"],
    ["C:", "C:"],
    ["", ""],
  ];
  for (const [path, parent] of cases) {
    assertEquals(parentDirectory(path), parent, path);
  }
});
