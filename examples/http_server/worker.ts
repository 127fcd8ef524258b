/**
 * A thread that serves HTTP. It reads the database by itself, from the memory
 * and the files that it shares with the owner; a read sends no message. Writes
 * go to the owner, which alone may write; once one is acknowledged, every
 * worker sees it.
 *
 * ```text
 * GET    /entries/KEY                     the value, or 404
 * GET    /entries?prefix=P&limit=N        keys and values as JSON, in order
 * PUT    /entries/KEY                     sets the value to the body
 * DELETE /entries/KEY
 * ```
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { attach, type Operation, utf8, VarveError } from "../../mod.ts";
import type { Start, ToOwner, ToWorker } from "./protocol.ts";
import { serve } from "./serve.ts";

const ENTRIES = "/entries";
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;

if (parentPort === null) throw new Error("this file is a worker's");
const owner = parentPort;
const { worker, handle, port } = workerData as Start;
const db = await attach(handle, { keys: utf8 });
const decoder = new TextDecoder();

/** Writes that the owner has not answered yet, by their numbers. */
const waiting = new Map<number, (failure: string | undefined) => void>();
let requests = 0;

const tell = (message: ToOwner) => owner.postMessage(message);

async function write(
  operation: Operation<string, Uint8Array>,
): Promise<Response> {
  const failure = await new Promise<string | undefined>((resolve) => {
    const request = ++requests;
    waiting.set(request, resolve);
    tell({ type: "write", request, operation });
  });
  return failure === undefined
    ? new Response(null, { status: 204 })
    : new Response(failure, { status: 500 });
}

function list(parameters: URLSearchParams): Response {
  const prefix = parameters.get("prefix") ?? "";
  const limit = Number(parameters.get("limit") ?? LIMIT_DEFAULT);
  if (!Number.isInteger(limit) || limit < 0 || limit > LIMIT_MAX) {
    return new Response(`limit: 0 to ${LIMIT_MAX}`, { status: 400 });
  }
  const rows: [string, string][] = [];
  for (const [key, value] of db.scan({ prefix, limit })) {
    rows.push([key, decoder.decode(value)]);
  }
  return Response.json(rows);
}

async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  if (pathname === ENTRIES && request.method === "GET") {
    return list(searchParams);
  }
  if (!pathname.startsWith(`${ENTRIES}/`)) {
    return new Response("there is only /entries", { status: 404 });
  }
  const key = decodeURIComponent(pathname.slice(ENTRIES.length + 1));
  switch (request.method) {
    case "GET": {
      const value = db.get(key);
      return value === undefined
        ? new Response("no such entry", { status: 404 })
        : new Response(value.slice());
    }
    case "PUT": {
      const value = new Uint8Array(await request.arrayBuffer());
      return await write({ type: "put", key, value });
    }
    case "DELETE":
      return await write({ type: "delete", key });
  }
  return new Response("GET, PUT or DELETE", { status: 405 });
}

const server = await serve(port, async (request) => {
  let response: Response;
  try {
    response = await answer(request);
  } catch (error) {
    if (error instanceof URIError) {
      response = new Response("a key that is no UTF-8", { status: 400 });
    } else if (error instanceof VarveError) {
      const status = error.code === "INVALID_ARGUMENT" ? 400 : 503;
      response = new Response(error.message, { status });
    } else throw error;
  }
  response.headers.set("x-worker", String(worker));
  return response;
});

owner.on("message", async (message: ToWorker) => {
  if (message.type === "written") {
    waiting.get(message.request)?.(message.failure);
    waiting.delete(message.request);
    return;
  }
  await server.stop();
  await db.close();
  tell({ type: "stopped" });
});
tell({ type: "listening", port: server.port });
