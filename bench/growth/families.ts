/**
 * Everything that `bench/growth.ts` measures.
 *
 * @module
 */
import { DELETES } from "./deletes.ts";
import { ENTRIES } from "./entries.ts";
import type { GrowthScenario } from "./parts.ts";
import { SHAPES } from "./shapes.ts";
import { STARTS } from "./starts.ts";

/** All scenarios of growth, in the order of the report. */
export const GROWTH: readonly GrowthScenario[] = [
  ...ENTRIES,
  ...SHAPES,
  ...DELETES,
  ...STARTS,
];

/** The names of the families. */
export const FAMILIES: readonly string[] = [
  ...new Set(GROWTH.map(({ family }) => family)),
];
