/** Readers in threads of their own: node:worker_threads everywhere, Web Workers where there are any. */
import { describe, test } from "node:test";
import { Worker as NodeWorker } from "node:worker_threads";
import type { Db } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { runReaders } from "../crash/support/reader_stress.ts";
import { withTempDir } from "../temp.ts";
import { filled, numbered } from "./support/bytes.ts";
import { Child } from "./support/child.ts";
import { LONG } from "./support/configs.ts";
import { withDb } from "./support/database.ts";
import type { Answer, Question } from "./support/share_thread.ts";

const THREAD = new URL("support/share_thread.ts", import.meta.url);
const HAS_WEB_WORKERS = "Worker" in globalThis;

/** A reader thread of either kind. */
interface Thread {
  ask(question: Question): Promise<Answer>;
  kill(): Promise<void>;
}

/** Matches answers with questions: they come in order. */
class Answers {
  readonly #waiting: ((answer: Answer) => void)[] = [];

  wait(): Promise<Answer> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  come(answer: Answer): void {
    this.#waiting.shift()?.(answer);
  }
}

function nodeThread(): Thread {
  const worker = new NodeWorker(THREAD);
  const answers = new Answers();
  worker.on("message", (answer) => answers.come(answer));
  return {
    ask(question) {
      worker.postMessage(question);
      return answers.wait();
    },
    kill: async () => {
      await worker.terminate();
    },
  };
}

function webThread(): Thread {
  const worker = new Worker(THREAD, { type: "module" });
  const answers = new Answers();
  worker.onmessage = (event) => answers.come(event.data);
  return {
    ask(question) {
      worker.postMessage(question);
      return answers.wait();
    },
    kill: () => Promise.resolve(worker.terminate()),
  };
}

async function withThread(
  make: () => Thread,
  body: (thread: Thread, db: Db) => Promise<void>,
): Promise<void> {
  await withDb(async (db) => {
    const thread = make();
    try {
      await body(thread, db);
    } finally {
      await thread.kill();
    }
  }, { writeBufferSize: 4096, durability: "buffered" });
}

const KINDS: [name: string, skip: boolean, make: () => Thread][] = [
  ["node:worker_threads", false, nodeThread],
  ["a Web Worker", !HAS_WEB_WORKERS, webThread],
];

for (const [name, skip, make] of KINDS) {
  describe(`readers in ${name}`, { skip }, () => {
    test(
      "see every acknowledged write, and CLOSED in the end",
      LONG,
      () =>
        withThread(make, async (thread, db) => {
          await db.put("a", "0");
          const handle = db.share();
          assertEquals(await thread.ask({ attach: handle }), "attached");
          for (let i = 1; i <= 300; i++) {
            await db.put("a", `${i}`);
            await db.put(numbered("key", i), filled(100));
            if (i % 10 === 0) {
              assertEquals(await thread.ask({ get: "a" }), `${i}`);
            }
          }
          await db.majorCompact();
          await db.deleteRange("key_0002", "key_0300");
          const all = ["a", "key_0001", "key_0300"];
          assertEquals(await thread.ask({ scan: true }), all);
          await db.close();
          assertEquals(await thread.ask({ get: "a" }), { error: "CLOSED" });
          assertEquals(await thread.ask({ attach: handle }), {
            error: "CLOSED",
          });
        }),
    );

    test(
      "that are killed leave nothing for good",
      LONG,
      () =>
        withThread(make, async (thread, db) => {
          await db.put("a", "0");
          const handle = db.share({ leaseSeconds: 0.5 });
          await thread.ask({ attach: handle });
          assertEquals(await thread.ask({ hold: true }), "held");
          assertEquals(db.stats().openSnapshots, 2);
          // Alive, though it reads nothing.
          await new Promise((resolve) => setTimeout(resolve, 1500));
          assertEquals(db.stats().openSnapshots, 2);
          assertEquals(await thread.ask({ spin: true }), "spinning");
          await new Promise((resolve) => setTimeout(resolve, 200));
          await thread.kill();
          for (let i = 0; i < 400 && db.stats().openSnapshots > 0; i++) {
            await new Promise((resolve) => setTimeout(resolve, 25));
            await db.put("a", `${i}`);
          }
          assertEquals(db.stats().openSnapshots, 0);
        }),
    );
  });
}

test(
  "neither an owner nor a reader keeps a process alive",
  LONG,
  () =>
    withTempDir(async (dir) => {
      const child = new Child("share_exit.ts", [`${dir}/db`]);
      assertEquals(await child.line(), "closed");
      assertEquals(await child.line(), "left open");
      assertEquals(await child.exited(), 0);
    }),
);

test(
  "one writer, two readers, compactions: every answer is right",
  LONG,
  async () => {
    const result = await runReaders({ seconds: 4, seed: 7, readers: 2 });
    assertEquals(result.problems, []);
    const { reads, flushes, compactions, killed, rounds } = result;
    const counts = { ...reads, flushes, compactions, killed, rounds };
    for (const [what, count] of Object.entries(counts)) {
      assert(count > 0, `${what}: ${count}`);
    }
    assertEquals(Object.keys(reads).length, 7);
  },
);
