/**
 * The little path arithmetic that the file systems need.
 *
 * Nothing here asks the system, so nothing here needs a permission; in
 * particular a relative path stays relative.
 *
 * @module
 */

/**
 * The directory that holds the entry `path`, without following links.
 *
 * @param path A path with `/`, or on Windows also `\`.
 * @returns A path; `path` itself for a root.
 */
export function parentDirectory(path: string): string {
  const trimmed = path.replace(/(?<=[^/\\:])[/\\]+$/, "");
  const last = /[^/\\]*$/.exec(trimmed)?.[0] ?? "";
  if (last === "" || /^[A-Za-z]:$/.test(trimmed)) return trimmed;
  const rest = trimmed.slice(0, trimmed.length - last.length);
  if (rest === "") return ".";
  return rest.replace(/(?<=[^/\\:])[/\\]+$/, "");
}
