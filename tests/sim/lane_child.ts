/**
 * One process of `lanes.ts`: performs a task for each line that comes, and
 * answers with a line.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import type { Answer, Order } from "./lanes.ts";
import { noteUnhandled, perform } from "./modes.ts";

async function answer(order: Order): Promise<Answer> {
  const skipped = new Set(order.skipped);
  const { counts, hash, failure } = await perform({ ...order, skipped });
  if (failure === undefined) return { counts, hash };
  const { message, lines } = failure;
  return { counts, hash, failure: { message, lines } };
}

process.on("unhandledRejection", noteUnhandled);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
