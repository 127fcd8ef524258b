/**
 * Many option sets, none of which may change an answer: those of the model
 * test, and others that are put together from the choices for each option.
 *
 * @module
 */
import type { Codec, CompactionOptions, Options } from "../../mod.ts";
import { OPTION_SETS } from "../engine/support/option_sets.ts";
import { Random } from "../engine/support/random.ts";

/** How many are put together. */
const COMBINED = 30;

/** Bytes as they are, by way of a codec that is not the engine's own. */
const COPYING: Codec<Uint8Array> = {
  ordered: true,
  encode: (bytes) => bytes.slice(),
  decode: (bytes) => bytes.slice(),
};

/** Values back to front, encoded in one buffer for all. */
const shared = new Uint8Array(4096);
const REVERSING: Codec<Uint8Array> = {
  encode: (bytes) => {
    shared.set(bytes);
    return shared.subarray(0, bytes.length).reverse();
  },
  decode: (bytes) => bytes.slice().reverse(),
};

/** The choices for each option; `undefined` is the default. */
export const CHOICES = {
  durability: ["sync", "buffered"],
  writeBufferSize: [128, 1024, 8192, undefined],
  maxFrozenMemtables: [1, 2, 16],
  blockSize: [256, 1024, undefined],
  blockCacheSize: [0, 4096, 65_536, undefined],
  bloomBitsPerKey: [0, 1, 10, 32],
  compression: [undefined, "zstd"],
  keys: [undefined, COPYING],
  values: [undefined, REVERSING],
} as const;

/** The choices for each option of compaction. */
export const COMPACTION_CHOICES = {
  strategy: ["size-tiered", "leveled"],
  background: ["worker", "inline", "off"],
  minThreshold: [2, 4],
  minTableSize: [0, 4096],
  tombstoneRatio: [0.05, 0.3, 1],
  tombstoneBloomFallback: [true, false],
  tombstoneRangeDrop: [true, false],
} as const;

/** One choice for each option, without those that are left out. */
function choose<T extends object>(random: Random, choices: T): object {
  const chosen = Object.entries(choices)
    .map(([name, values]) => [name, random.pick(values)] as const);
  return Object.fromEntries(chosen.filter(([, value]) => value !== undefined));
}

/** What an option is called in the name of a set. */
function shown(options: object): string {
  return Object.entries(options).map(([name, value]) =>
    name === "keys" || name === "values"
      ? `${name} by codec`
      : `${name} ${value}`
  ).join(", ");
}

/** All option sets by name: the same in every run and on every runtime. */
export function allOptionSets(): Map<string, Options> {
  const sets = new Map(Object.entries(OPTION_SETS));
  const random = new Random(4);
  for (let i = 0; i < COMBINED; i++) {
    const options = choose(random, CHOICES);
    const compaction: CompactionOptions = choose(random, COMPACTION_CHOICES);
    const name = `${i}: ${shown(options)}; ${shown(compaction)}`;
    sets.set(name, { ...options, compaction });
  }
  return sets;
}
