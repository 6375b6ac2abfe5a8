/** A loopback HTTP cache that speaks the whole protocol, and can be told to misbehave. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

export type Fault = 'status-500' | 'hang' | 'cut' | 'truncate' | 'corrupt' | 'denied' | 'trickle';

export interface HttpCacheServer {
  readonly url: string;
  /** By path, such as `cas/…`. */
  readonly stored: Map<string, Buffer>;
  /** `GET cas/…` and so on, in order. */
  readonly requests: string[];
  /** Asked for each request; null: it is answered as it should be. */
  fault: (method: string, name: string) => Fault | null;
  close(): Promise<void>;
}

export async function startHttpCache(options: { readonly authorization?: string } = {}): Promise<HttpCacheServer> {
  const stored = new Map<string, Buffer>();
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => void answer(request, response));
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const self: HttpCacheServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stored, requests, fault: () => null,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
  return self;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = request.method ?? '';
    const name = (request.url ?? '').slice(1);
    requests.push(`${method} ${name}`);
    const fault = self.fault(method, name);
    if (fault === 'hang') return;
    if (fault === 'cut' && method !== 'GET') return void request.once('data', () => request.socket.destroy()).once('end', () => request.socket.destroy());
    if (fault === 'status-500') return void response.writeHead(500).end('no');
    if (fault === 'denied') return void response.writeHead(403).end('no');
    if (!/^(cas|ac)\/[0-9a-f]{64}$/.test(name)) return void response.writeHead(400).end();
    if (method === 'PUT') {
      if (options.authorization !== undefined && request.headers.authorization !== options.authorization) return void response.writeHead(401).end();
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      stored.set(name, Buffer.concat(chunks));
      return void response.writeHead(201).end();
    }
    let bytes = stored.get(name);
    if (bytes === undefined) return void response.writeHead(404).end();
    if (fault === 'corrupt') bytes = Buffer.from(bytes.map((byte, index) => (index === bytes!.length >> 1 ? byte ^ 1 : byte)));
    if (fault === 'truncate') bytes = bytes.subarray(0, bytes.length >> 1);
    response.writeHead(200, { 'content-length': bytes.length });
    if (method === 'HEAD') return void response.end();
    if (fault === 'cut') return void response.write(bytes.subarray(0, bytes.length >> 1), () => request.socket.destroy());
    response.end(bytes);
  }
}
