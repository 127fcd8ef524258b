/**
 * Counts the files that are open.
 *
 * @module
 */
import type { FileSystem } from "../../../lib/runtime/runtime.ts";

/** How many files were opened since and not closed. */
export interface OpenHandles {
  /** That many. */
  readonly count: number;
}

/** Counts files from now on. */
export function countHandles(files: FileSystem): OpenHandles {
  let count = 0;
  const open = files.open.bind(files);
  files.open = (path, mode) => {
    const file = open(path, mode);
    const close = file.close.bind(file);
    let isOpen = true;
    count++;
    file.close = () => {
      if (isOpen) count--;
      isOpen = false;
      close();
    };
    return file;
  };
  return {
    get count() {
      return count;
    },
  };
}
