/**
 * Markdown tables.
 *
 * @module
 */

/** Prints a table; its first `textColumns` columns are text, the others figures. */
export function printTable(
  header: string[],
  rows: string[][],
  textColumns: number,
): void {
  const widths = header.map((cell, column) =>
    Math.max(3, cell.length, ...rows.map((row) => row[column]?.length ?? 0))
  );
  const line = (row: string[]) =>
    "| " + row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column < textColumns ? cell.padEnd(width) : cell.padStart(width);
    }).join(" | ") + " |";
  console.log(line(header));
  console.log(
    line(
      widths.map((width, column) =>
        column < textColumns ? "-".repeat(width) : "-".repeat(width - 1) + ":"
      ),
    ),
  );
  for (const row of rows) console.log(line(row));
  console.log();
}
