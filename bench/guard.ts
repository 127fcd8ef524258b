/**
 * What became slower: compares ratios with stored ones.
 *
 * A ratio is a row's rate for each second of reference work, measured in the
 * same round on the same runtime, so that it says little of the machine.
 *
 * @module
 */
import { median } from "./machine.ts";

/** Ratios by runtime and row. */
export type Ratios = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** The file that ratios are stored in. */
export interface Stored {
  /** The machine and runtimes that they are of. */
  readonly machine: string;
  /** Entries that they were measured with. */
  readonly size: number;
  readonly ratios: Ratios;
}

/** A row may lose this much of its ratio. */
export const LOSS_MAX = 0.2;

/** A row whose ratio is below what it may be, or cannot be compared. */
export interface Complaint {
  readonly runtime: string;
  readonly row: string;
  /** Found by stored; undefined if one of them is missing. */
  readonly change: number | undefined;
}

/** The ratios of every round, gathered. */
export class Gathered {
  readonly #ratios = new Map<string, Map<string, number[]>>();

  /** Takes the ratio of one round. */
  add(runtime: string, row: string, ratio: number): void {
    let rows = this.#ratios.get(runtime);
    if (rows === undefined) this.#ratios.set(runtime, rows = new Map());
    const ratios = rows.get(row);
    if (ratios === undefined) rows.set(row, [ratio]);
    else ratios.push(ratio);
  }

  /** The medians over the rounds. */
  medians(): Ratios {
    return Object.fromEntries(
      [...this.#ratios].map(([runtime, rows]) => [
        runtime,
        Object.fromEntries(
          [...rows].map(([row, ratios]) => [row, roundedMedian(ratios)]),
        ),
      ]),
    );
  }
}

const roundedMedian = (ratios: number[]): number =>
  Number(median(ratios).toPrecision(4));

/** The rows that lost more than `lossMax`, and those that only one side has. */
export function complaintsOf(
  stored: Ratios,
  found: Ratios,
  lossMax: number = LOSS_MAX,
): Complaint[] {
  const complaints: Complaint[] = [];
  for (const [runtime, rows] of Object.entries(found)) {
    const before = stored[runtime] ?? {};
    for (const row of new Set([...Object.keys(before), ...Object.keys(rows)])) {
      const change = (rows[row] ?? NaN) / (before[row] ?? NaN);
      if (Number.isNaN(change)) {
        complaints.push({ runtime, row, change: undefined });
      } else if (change < 1 - lossMax) {
        complaints.push({ runtime, row, change });
      }
    }
  }
  return complaints;
}

/** A complaint in words. */
export function describeComplaint({ runtime, row, change }: Complaint): string {
  return change === undefined
    ? `${row} on ${runtime}: stored or measured, not both (--update stores)`
    : `${row} on ${runtime}: ${Math.round((1 - change) * 100)} % slower`;
}
