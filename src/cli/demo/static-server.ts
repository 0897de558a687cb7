/** Serves a fixed list of files over HTTP, and answers to POST requests. Any other path is not found, even if the file exists on disk. */

import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hostNameIn, isLoopback } from '../../dashboard/access.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import { httpUrl, listen } from '../../shared/http/listen.js';

/** A file on disk, the content itself, or a function that makes JSON of the body of a POST request. */
export type Served =
  { readonly file: string } | { readonly text: string } | { readonly answer: (body: Buffer) => unknown };

/** Longer bodies of POST requests are refused. */
const maxBodyBytes = 2 ** 20;

export interface StaticServer {
  readonly url: string;
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.cjs': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.wasm': 'application/wasm',
};

/** The page loads nothing from other origins, may compile WebAssembly, and cannot be framed. */
const headers = {
  'Content-Security-Policy':
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

/**
 * @param files content by path, e.g. `/` or `/style.css`
 * @throws ConfigError if the address cannot be used
 */
export async function serveFiles(
  files: ReadonlyMap<string, Served>,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<StaticServer> {
  const server = createServer((request, response) => {
    // On loopback, a page on the Internet could otherwise read the model by DNS rebinding.
    if (isLoopback(host) && !isLoopback(hostNameIn(request.headers.host))) {
      response.writeHead(421, headers).end();
      return;
    }
    // A client that has disconnected is not an error.
    answer(files, request, response).catch(() => response.destroy());
  });
  // A connection that cannot be accepted is the client's to repeat.
  const own = await listen(server, { host, port }, () => undefined).catch((cause: unknown) => {
    throw new ConfigError(
      `Address ${host}:${port}: expected one that can be listened on, got ${systemCode(cause) ?? String(cause)}. ` +
        'Choose another --port, or leave it out.',
      { host, port },
      cause,
    );
  });
  return {
    url: httpUrl({ host, port: own }),
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  files: ReadonlyMap<string, Served>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = '/'] = (request.url ?? '/').split('?');
  const served = files.get(path);
  const isPost = request.method === 'POST';
  const isRead = request.method === 'GET' || request.method === 'HEAD';
  if (!served || ('answer' in served ? !isPost : !isRead)) {
    response.writeHead(served ? 405 : 404, headers).end();
    return;
  }
  if ('answer' in served) {
    const body = await readBody(request);
    const result = body && served.answer(body);
    response.writeHead(result === undefined ? 400 : 200, { ...headers, 'Content-Type': types['.json'] });
    response.end(JSON.stringify(result ?? null));
    return;
  }
  const name = 'file' in served ? served.file : path;
  response.writeHead(200, { ...headers, 'Content-Type': types[extname(name)] ?? 'application/octet-stream' });
  if (request.method === 'HEAD') response.end();
  else if ('text' in served) response.end(served.text);
  else await pipeline(createReadStream(served.file), response);
}

/** Returns undefined for a body that is too long. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
