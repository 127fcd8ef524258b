/**
 * Makes a failure shorter: leaves out operations as long as it stays one.
 *
 * @module
 */
import { type Failure, perform, type Task } from "./modes.ts";

/** A failure without its numbers and places, to be compared. */
function kindOfFailure({ message }: Failure): string {
  return message.split("\n")[0].replaceAll(/[\d"]+/g, "#").slice(0, 60);
}

/** How a task fails; `undefined` if it does not, or in another way. */
async function failureLike(
  known: Failure,
  task: Task,
): Promise<Failure | undefined> {
  const { failure } = await perform(task);
  return failure !== undefined &&
      kindOfFailure(failure) === kindOfFailure(known)
    ? failure
    : undefined;
}

/**
 * A failure like `known` with fewer operations.
 *
 * @param isLate Whether there is no time left.
 */
export async function shrink(
  known: Failure,
  isLate: () => boolean,
): Promise<Failure> {
  let best = known;
  const all = Array.from({ length: known.task.operations }, (_, i) => i);
  let kept = all.filter((i) => !known.task.skipped.has(i));
  for (let size = Math.ceil(kept.length / 2); size >= 1;) {
    let isShorter = false;
    for (let at = kept.length - size; at > -size && !isLate(); at -= size) {
      const from = Math.max(0, at);
      const fewer = [...kept.slice(0, from), ...kept.slice(at + size)];
      const keep = new Set(fewer);
      const skipped = new Set(all.filter((i) => !keep.has(i)));
      const failure = await failureLike(known, { ...known.task, skipped });
      if (failure === undefined) continue;
      best = failure;
      kept = fewer;
      isShorter = true;
    }
    if (isLate()) break;
    if (!isShorter || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return best;
}
