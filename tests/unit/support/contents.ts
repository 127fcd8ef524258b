/**
 * Compares all that a database shows with what it must hold.
 *
 * @module
 */
import type { Db } from "../../../mod.ts";
import { assertEquals } from "../../assert.ts";
import type { ModelRow } from "../../engine/support/model.ts";
import { fromBytes, toBytes } from "./entries.ts";

function textRows(
  scan: Iterable<[Uint8Array, Uint8Array]>,
): [string, string][] {
  return Array.from(scan, ([key, value]) => [fromBytes(key), fromBytes(value)]);
}

/** Scans both ways, with bounds and a limit, and lookups must show exactly these rows. */
export function assertHolds(
  db: Db,
  rows: readonly ModelRow[],
  message: string,
): void {
  const expected = rows.map(([key, value]): [string, string] => [
    key,
    fromBytes(value),
  ]);
  assertEquals(textRows(db.scan()), expected, `${message}: scan`);
  assertEquals(
    textRows(db.scan({ reverse: true })),
    expected.toReversed(),
    `${message}: scan in reverse`,
  );
  const middle = expected[Math.floor(expected.length / 2)]?.[0] ?? "k";
  const behind = expected.filter(([key]) => key >= middle);
  assertEquals(
    textRows(db.scan({ gte: toBytes(middle), limit: 5 })),
    behind.slice(0, 5),
    `${message}: scan with a bound and a limit`,
  );
  for (const [key, value] of expected) {
    const found = db.get(toBytes(key));
    assertEquals(
      found === undefined ? undefined : fromBytes(found),
      value,
      `${message}: get ${JSON.stringify(key)}`,
    );
    for (const absent of [`${key}\0`, `${key} absent`]) {
      if (expected.some(([other]) => other === absent)) continue;
      assertEquals(db.get(toBytes(absent)), undefined, `${message}: ${absent}`);
    }
  }
}
