/**
 * Asks a running server of the example whether it does what it says.
 *
 * Every request has a connection of its own, so that the kernel gives it to
 * any of the workers.
 *
 * @module
 */
import { request as httpRequest } from "node:http";

interface Answer {
  readonly status: number;
  readonly text: string;
  /** The worker that answered. */
  readonly worker: string;
}

/** What was found. */
export interface Findings {
  readonly requests: number;
  /** The workers that answered, in order. */
  readonly workers: string[];
}

const KEYS = 200;
const REPEATED_READS = 50;
const LISTED = 10;

function expect(what: string, found: unknown, expected: unknown): void {
  const texts = [found, expected].map((value) => JSON.stringify(value));
  if (texts[0] !== texts[1]) {
    throw new Error(`${what}: ${texts[0]}, not ${texts[1]}`);
  }
}

function send(
  port: number,
  method: string,
  path: string,
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      { host: "127.0.0.1", port, method, path, agent: false },
      async (response) => {
        try {
          response.setEncoding("utf8");
          let text = "";
          for await (const part of response) text += part;
          resolve({
            status: response.statusCode ?? 0,
            text,
            worker: String(response.headers["x-worker"]),
          });
        } catch (error) {
          reject(error);
        }
      },
    );
    request.once("error", reject);
    request.end(body);
  });
}

/** Writes, reads and lists; throws at the first wrong answer. */
export async function check(
  port: number,
  workerCount: number,
): Promise<Findings> {
  const workers = new Set<string>();
  let requests = 0;
  const ask = async (method: string, path: string, body?: string) => {
    const answer = await send(port, method, path, body);
    requests++;
    workers.add(answer.worker);
    return answer;
  };
  const name = (i: number) => `key/${String(i).padStart(4, "0")}`;
  const path = (key: string) => `/entries/${encodeURIComponent(key)}`;
  const get = async (key: string) => {
    const { status, text } = await ask("GET", path(key));
    return status === 200 ? text : status;
  };

  expect("a missing key", await get("missing"), 404);
  // What is acknowledged is there, whichever worker is asked.
  await Promise.all(Array.from({ length: KEYS }, async (_, i) => {
    const { status } = await ask("PUT", path(name(i)), `value ${i}`);
    expect(`PUT of ${name(i)}`, status, 204);
    expect(name(i), await get(name(i)), `value ${i}`);
  }));
  for (let i = 0; i < REPEATED_READS; i++) {
    await ask("PUT", path("counter"), String(i));
    expect("counter", await get("counter"), String(i));
  }
  const { text } = await ask("GET", `/entries?prefix=key%2F&limit=${LISTED}`);
  const rows = Array.from(
    { length: LISTED },
    (_, i) => [name(i), `value ${i}`],
  );
  expect("the list", JSON.parse(text), rows);
  expect("DELETE", (await ask("DELETE", path("counter"))).status, 204);
  expect("a deleted key", await get("counter"), 404);
  expect("POST", (await ask("POST", path("counter"))).status, 405);
  expect("a bad limit", (await ask("GET", "/entries?limit=x")).status, 400);
  if (workerCount > 1 && workers.size < 2) {
    throw new Error(`only worker ${[...workers]} answered`);
  }
  return { requests, workers: [...workers].sort() };
}
