/**
 * Child processes on the runtime that runs the tests.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** How to run a script on this runtime with this runtime's own executable. */
function commandFor(script: string, args: readonly string[]): string[] {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return "Deno" in globalThis
    ? ["run", "--no-check", "-A", path, ...args]
    : [path, ...args];
}

/** A running child that speaks in lines of JSON. */
export class Child {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<number | null>;

  /** Starts `script`, a path relative to this file. */
  constructor(script: string, args: readonly string[]) {
    const child = spawn(process.execPath, commandFor(script, args), {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#process = child;
    this.#exit = new Promise((resolve) => child.once("exit", resolve));
    const lines = createInterface({ input: child.stdout! }); // piped above
    this.#lines = lines[Symbol.asyncIterator]();
  }

  /** The operating system's number of the child. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** The next line that the child prints. */
  async line(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the child ended: ${await this.#exit}`);
    return JSON.parse(value);
  }

  /** Kills the child as a machine would: no handler of it runs. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
  }

  /** Ends the child's standard input. */
  endInput(): void {
    this.#process.stdin?.end();
  }

  /** The exit code, once the child ends by itself. */
  exited(): Promise<number | null> {
    return this.#exit;
  }
}
