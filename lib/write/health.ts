/**
 * The one-way latch to read-only.
 *
 * After a failed write or sync of a log or manifest nobody knows what reached
 * the disk, and pages that failed to sync may be marked clean: a second try
 * would lie. So may entries of the directory, whoever synced it. So nothing is
 * tried again, and nothing committed; reads go on; reopening clears it.
 *
 * @module
 */
import { VarveError } from "../errors.ts";

/** Whether the handle may write. */
export class Health {
  /** What failed first; `undefined` while all is well. */
  failure: unknown;

  /** Latches; returns the error as a `VarveError`. */
  fail(error: unknown): VarveError {
    // mutant latch: a write or sync that failed is never tried again
    this.failure ??= error;
    return asVarveError(error);
  }

  /** The error for a write that comes after the latch fell; `undefined` while all is well. */
  refusal(): VarveError | undefined {
    if (this.failure === undefined) return undefined;
    const reason = this.failure instanceof Error
      ? this.failure.message
      : String(this.failure);
    return new VarveError(
      "READ_ONLY",
      `the database accepts no write since an earlier one failed (${reason}); ` +
        "reads go on, closing and reopening clears it",
      { cause: this.failure },
    );
  }
}

/** The error itself if it is one of ours, or one of ours around it. */
export function asVarveError(error: unknown): VarveError {
  return error instanceof VarveError ? error : new VarveError(
    "IO",
    error instanceof Error ? error.message : String(error),
    { cause: error },
  );
}
