/**
 * Random options, every one of them, towards the small: whatever takes many
 * bytes to happen shall happen often.
 *
 * @module
 */
import type { CompactionOptions, Options } from "../../mod.ts";
import type { SeededDice } from "./random.ts";

/** Options as a seed gives them. */
export function randomOptions(dice: SeededDice): Options {
  const minThreshold = dice.pick([2, 2, 3, 4, 8]);
  const compaction: CompactionOptions = {
    strategy: dice.pick(["size-tiered", "leveled"] as const),
    background: dice.weighted([4, 3, 2]) === 0
      ? "worker"
      : dice.pick(["inline", "inline", "off"] as const),
    minThreshold,
    maxThreshold: minThreshold + dice.pick([0, 1, 4, 30]),
    bucketLow: dice.pick([0.1, 0.5, 0.9]),
    bucketHigh: dice.pick([1.1, 1.5, 3]),
    minTableSize: dice.pick([0, 50, 600, 5000]),
    tombstoneRatio: dice.pick([0.01, 0.1, 0.3, 1]),
    tombstoneInterval: dice.pick([0, 0, 1]),
    tombstoneBloomFallback: dice.chance(0.7),
    tombstoneRangeDrop: dice.chance(0.7),
  };
  return {
    durability: dice.pick(["sync", "buffered"] as const),
    writeBufferSize: dice.pick([
      128,
      512,
      1024,
      1024,
      2048,
      2048,
      4096,
      4096,
      16384,
      65536,
    ]),
    maxFrozenMemtables: dice.pick([1, 1, 2, 4, 16]),
    blockSize: dice.pick([256, 256, 512, 4096]),
    blockCacheSize: dice.pick([0, 1024, 65536, 131072]),
    bloomBitsPerKey: dice.pick([0, 1, 10, 10, 32]),
    compaction,
  };
}

/** The other strategy, which takes as few tables at a time as it may: what the one has merged, regardless of ages, it does not take down as a whole. */
export function withOtherStrategy(options: Options): Options {
  const { compaction } = options;
  const strategy = compaction?.strategy === "leveled"
    ? "size-tiered"
    : "leveled";
  const [minThreshold, maxThreshold] = [2, 2];
  return {
    ...options,
    compaction: { ...compaction, strategy, minThreshold, maxThreshold },
  };
}

/** The options in few words. */
export function describeOptions(options: Options): string {
  const { compaction = {}, ...rest } = options;
  return [...Object.entries(rest), ...Object.entries(compaction)]
    .map(([name, value]) => `${name}=${value}`).join(" ");
}
