/**
 * A database in a temporary directory for the time of a test.
 *
 * @module
 */
import type { Db, Options } from "../../../mod.ts";
import { open } from "../../open.ts";
import { withTempDir } from "../../temp.ts";

/** Runs `body` with an open database; closes it and removes its directory afterwards. */
export function withDb(
  body: (db: Db, dir: string) => Promise<void> | void,
  options: Options = {},
): Promise<void> {
  return withTempDir(async (base) => {
    const dir = `${base}/db`;
    const db = await open(dir, options);
    try {
      await body(db, dir);
    } finally {
      await db.close();
    }
  });
}

/** Calls `round` until it reports that there was nothing to do; how often it did something. */
export async function untilFalse(
  round: () => Promise<boolean>,
  limit = 10_000,
): Promise<number> {
  for (let rounds = 0; rounds < limit; rounds++) {
    if (!await round()) return rounds;
  }
  throw new Error(`still something to do after ${limit} rounds`);
}
