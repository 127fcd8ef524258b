/**
 * Ways to lose a process without losing the test: each machine opens one
 * database again and again, and `crash()` leaves its files exactly as the
 * death of the process, or of the power, would leave them at that moment.
 *
 * @module
 */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { MemoryFileSystem } from "../../../lib/runtime/memory.ts";
import type { Db, Options } from "../../../mod.ts";
import { open } from "../../open.ts";
import { withTempDir } from "../../temp.ts";
import { openIn } from "./memory.ts";

/**
 * Copies the directory of an open database. What the engine writes at the same
 * time on other threads counts for nothing yet, and what it removes no longer:
 * a file may be gone before it is copied.
 */
function copyLive(from: string, to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(from)) {
    try {
      copyFileSync(join(from, name), join(to, name));
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOENT") throw error;
    }
  }
}

/** A database's life on one machine. */
export interface Host {
  /** Opens the database as the last crash left it. */
  open(options: Options): Promise<Db>;
  /** Crashes, at once: what was open is abandoned. */
  crash(): void;
}

/** A kind of machine. */
export interface Machine {
  /** What `crash()` stands for. */
  readonly name: string;
  /** Runs `body` with a machine without a database; lets go of everything afterwards. */
  run(body: (host: Host) => Promise<void>): Promise<void>;
}

/** Handles left behind by crashes still hold files; their errors are no one's. */
async function closeAll(handles: Db[]): Promise<void> {
  await Promise.allSettled(handles.map((handle) => handle.close()));
}

/** Process death, as a copy of the files that a live handle is still using. */
const copyingMachine: Machine = {
  name: "abandoned handle, files copied",
  run: (body) =>
    withTempDir(async (base) => {
      const handles: Db[] = [];
      let generation = 0;
      const path = () => `${base}/${generation}`;
      try {
        await body({
          async open(options) {
            const db = await open(path(), options);
            handles.push(db);
            return db;
          },
          crash() {
            const from = path();
            generation++;
            copyLive(from, path());
          },
        });
      } finally {
        await closeAll(handles);
      }
    }),
};

function memoryMachine(
  name: string,
  after: (files: MemoryFileSystem) => MemoryFileSystem,
): Machine {
  return {
    name,
    async run(body) {
      const handles: Db[] = [];
      let files = new MemoryFileSystem();
      try {
        await body({
          async open(options) {
            const db = await openIn(files, options);
            handles.push(db);
            return db;
          },
          crash() {
            files = after(files);
          },
        });
      } finally {
        await closeAll(handles);
      }
    },
  };
}

/** Every way to crash within this process. */
export function machines(): Machine[] {
  return [
    copyingMachine,
    memoryMachine("process death", (files) => files.afterProcessDeath()),
    memoryMachine("power loss", (files) => files.afterPowerLoss()),
  ];
}
