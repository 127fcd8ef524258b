/**
 * One HTTP server, by what the runtime has: `Deno.serve`, `Bun.serve` or
 * `node:http`. Several threads may serve the same port: with `reusePort` the
 * kernel spreads new connections over them. (So it does on Linux and FreeBSD;
 * on macOS one of the threads gets them all.)
 *
 * @module
 */
import { Buffer } from "node:buffer";
import {
  createServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

const HOSTNAME = "127.0.0.1";

/** Answers a request. */
export type Handler = (request: Request) => Response | Promise<Response>;

/** A server that listens. */
export interface Server {
  readonly port: number;
  /** Ends the server; requests under way are answered. */
  stop(): Promise<void>;
}

/** The part of Bun that is used here: this file is checked with Deno's types. */
interface BunServe {
  serve(options: {
    hostname: string;
    port: number;
    reusePort: boolean;
    fetch: Handler;
  }): { readonly port: number; stop(): Promise<void> };
}

/** Listens on a port, or on any free one for 0. */
export function serve(port: number, handler: Handler): Promise<Server> {
  if ("Deno" in globalThis) return serveWithDeno(port, handler);
  if ("Bun" in globalThis) {
    const { Bun } = globalThis as unknown as { Bun: BunServe };
    return Promise.resolve(serveWithBun(Bun, port, handler));
  }
  return serveWithNode(port, handler);
}

function serveWithDeno(port: number, handler: Handler): Promise<Server> {
  return new Promise((resolve) => {
    const server = Deno.serve({
      hostname: HOSTNAME,
      port,
      reusePort: true,
      onListen: (address) =>
        resolve({ port: address.port, stop: () => server.shutdown() }),
    }, handler);
  });
}

function serveWithBun(bun: BunServe, port: number, handler: Handler): Server {
  const server = bun.serve({
    hostname: HOSTNAME,
    port,
    reusePort: true,
    fetch: handler,
  });
  return { port: server.port, stop: () => server.stop() };
}

function serveWithNode(port: number, handler: Handler): Promise<Server> {
  const server = createServer((message, response) => {
    answerOnNode(handler, message, response).catch((error) => {
      response.destroy(error);
    });
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: HOSTNAME, port, reusePort: true }, () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        stop: () => new Promise((closed) => server.close(() => closed())),
      });
    });
  });
}

async function answerOnNode(
  handler: Handler,
  message: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const parts: Uint8Array[] = [];
  for await (const part of message) parts.push(part);
  const { method = "GET", url = "/" } = message;
  const answer = await handler(
    new Request(new URL(url, `http://${HOSTNAME}`), {
      method,
      ...parts.length > 0 ? { body: Buffer.concat(parts) } : {},
    }),
  );
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(new Uint8Array(await answer.arrayBuffer()));
}
