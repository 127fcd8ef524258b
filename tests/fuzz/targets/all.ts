/**
 * Everything that is fuzzed.
 *
 * @module
 */
import type { Target } from "../support/target.ts";
import { batch } from "./batch.ts";
import { block } from "./block.ts";
import { current } from "./current.ts";
import { database } from "./database.ts";
import { filter } from "./filter.ts";
import { integers } from "./integers.ts";
import { log } from "./log.ts";
import { manifest } from "./manifest.ts";
import { share } from "./share.ts";
import { table } from "./table.ts";

/** In the order in which they take turns. */
export const TARGETS: readonly Target[] = [
  integers,
  current,
  log,
  manifest,
  block,
  filter,
  table,
  batch,
  share,
  database,
];
