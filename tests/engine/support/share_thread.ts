/**
 * A reader thread of share_threads.test.ts, started by `node:worker_threads`
 * or as a Web Worker: answers questions about the database that it is given.
 *
 * @module
 */
import { parentPort } from "node:worker_threads";
import { attach, type ReadonlyDb, type ShareHandle } from "../../../mod.ts";
import { keys, text } from "./bytes.ts";

/** What the thread can be asked. */
export type Question =
  | { readonly attach: ShareHandle }
  | { readonly get: string }
  | { readonly scan: true }
  | { readonly hold: true }
  | { readonly spin: true };

/** What it answers. */
export type Answer =
  | string
  | readonly string[]
  | undefined
  | { readonly error: string };

/** What a Web Worker has, and the types of a program do not know. */
interface WebWorkerScope {
  onmessage: (event: { readonly data: Question }) => void;
  postMessage(answer: Answer): void;
}

let db: ReadonlyDb | undefined;
const held: unknown[] = [];

/** Reads until the thread is killed. Deno cannot kill one that never waits. */
async function spin(reader: ReadonlyDb): Promise<void> {
  for (;;) {
    for (const _ of reader.scan()) reader.get("a");
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function answerWith(reader: ReadonlyDb, question: Question): Answer {
  if ("get" in question) return text(reader.get(question.get));
  if ("scan" in question) return keys(reader.scan());
  if ("hold" in question) {
    held.push(reader.snapshot(), reader.scan());
    return "held";
  }
  spin(reader);
  return "spinning";
}

async function answer(question: Question): Promise<Answer> {
  try {
    if ("attach" in question) {
      db = await attach(question.attach);
      return "attached";
    }
    return db === undefined ? "not attached" : answerWith(db, question);
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    return { error: String(code ?? error) };
  }
}

if (parentPort === null) {
  const scope = globalThis as unknown as WebWorkerScope;
  scope.onmessage = async ({ data }) => scope.postMessage(await answer(data));
} else {
  const port = parentPort;
  port.on("message", async (question: Question) => {
    port.postMessage(await answer(question));
  });
}
