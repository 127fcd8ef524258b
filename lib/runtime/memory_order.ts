/**
 * What the processor promises about the order of plain reads.
 *
 * @module
 */
import process from "node:process";

/**
 * Whether a plain read may take its value after an atomic read that follows
 * it in the program. On x64 none does; on ARM one may.
 */
export const READS_MAY_BE_LATE: boolean = process.arch !== "x64" &&
  process.arch !== "ia32";
