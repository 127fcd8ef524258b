/** The script that compiled programs start their worker with is that of these sources. */

import process from "node:process";
import { test } from "node:test";
import { assertEquals } from "../assert.ts";
import { BUNDLE_FILE, bundleWorker } from "../tools/bundle_worker.ts";
import { readProjectFile } from "../tools/project.ts";

test(
  "lib/runtime/worker_bundle.ts is made of lib/worker.ts (if not: deno task bundle:worker)",
  {
    skip: process.versions.bun === undefined ? "Bun makes it" : false,
  },
  () => {
    const isSame = readProjectFile(BUNDLE_FILE) ===
      bundleWorker(process.execPath);
    assertEquals(isSame, true);
  },
);
