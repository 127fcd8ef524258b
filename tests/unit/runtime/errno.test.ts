import { test } from "node:test";
import { VarveError } from "../../../lib/errors.ts";
import { errorCode, ioError, isDenial } from "../../../lib/runtime/errno.ts";
import { assertEquals, assertStrictEquals } from "../../assert.ts";

/** An error as a runtime throws it. */
function thrown(name: string, message: string, more: object = {}): Error {
  return Object.assign(new Error(message), { name, ...more });
}

test("ioError() says operation, path, code and meaning, and keeps the cause", () => {
  const cause = thrown("Error", "ENOSPC: no space left, write", {
    code: "ENOSPC",
  });
  const error = ioError("write", "db/000001.log", cause);
  assertEquals(error.code, "IO");
  assertEquals(
    error.message,
    "cannot write db/000001.log: ENOSPC (no space left on the device)",
  );
  assertStrictEquals(error.cause, cause);
});

test("ioError() knows Deno's classes without a code", () => {
  const messages = ["NotFound", "AlreadyExists", "BadResource"].map((name) =>
    ioError("open", "f", thrown(name, "whatever")).message
  );
  assertEquals(messages, [
    "cannot open f: ENOENT (no such file or directory)",
    "cannot open f: EEXIST (it exists already)",
    "cannot open f: EBADF (the file is closed)",
  ]);
});

test("ioError() prefers the code to the class", () => {
  const error = thrown("PermissionDenied", "x", { code: "EPERM" });
  assertEquals(errorCode(error), "EPERM");
});

test("ioError() names Deno's missing flag", () => {
  for (const flag of ["--allow-read", "--allow-write"]) {
    const error = thrown(
      "NotCapable",
      `Requires access to "f", run again with the ${flag} flag`,
    );
    assertEquals(
      ioError("open", "f", error).message,
      `cannot open f: NotCapable (missing permission, run again with ${flag})`,
    );
  }
});

test("ioError() names Node's missing flag", () => {
  const error = thrown("Error", "Access to this API has been restricted.", {
    code: "ERR_ACCESS_DENIED",
    permission: "FileSystemWrite",
  });
  assertEquals(
    ioError("create", "f", error).message,
    "cannot create f: ERR_ACCESS_DENIED (missing permission, run again with --allow-fs-write)",
  );
});

test("ioError() takes what it does not know as it is", () => {
  assertEquals(
    ioError("read", "f", thrown("Error", "odd", { code: "EODD" })).message,
    "cannot read f: EODD (odd)",
  );
  assertEquals(
    ioError("read", "f", "text").message,
    "cannot read f: Error (text)",
  );
  assertEquals(
    ioError("read", "f", undefined).message,
    "cannot read f: Error (undefined)",
  );
});

test("ioError() passes a VarveError", () => {
  const error = new VarveError("LOCKED", "held");
  assertStrictEquals(ioError("lock", "f", error), error);
});

test("isDenial() is true of refused access only", () => {
  const verdicts = [
    thrown("NotCapable", ""),
    thrown("PermissionDenied", ""),
    thrown("Error", "", { code: "EPERM" }),
    thrown("Error", "", { code: "ERR_ACCESS_DENIED" }),
    thrown("Error", "", { code: "EIO" }),
    thrown("NotFound", ""),
    undefined,
  ].map(isDenial);
  assertEquals(verdicts, [true, true, true, true, false, false, false]);
});
