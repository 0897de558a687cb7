import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { status } from '../../src/cli/commands/status.js';
import { openHealthServer, type Health, type HealthServer } from '../../src/shared/http/health-server.js';

describe('lockstep status', () => {
  let server: HealthServer | undefined;
  let other: Server | undefined;
  afterEach(async () => {
    vi.restoreAllMocks();
    await server?.close();
    other?.close();
  });

  it.each([
    ['ok', 'ok', false, 0],
    ['ok', 'loading', false, 1],
    ['ok', 'loading', true, 0],
    ['hung', 'hung', true, 1],
  ] as const)('live %s and ready %s, with --live %s: status %i', async (live, ready, flag, expected) => {
    const answers: { live: () => Health; ready: () => Health } = { live: () => live, ready: () => ready };
    server = await openHealthServer({ host: '127.0.0.1', port: 0 }, answers);
    const printed: string[] = [];
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => printed.push(String(text)) > 0);
    expect(await status({ address: new URL(server.url).port, live: flag })).toBe(expected);
    expect(printed).toEqual([`live: ${live}, ready: ${ready}\n`]);
  });

  it('names an address at which nothing, or another program, answers', async () => {
    other = createServer((socket) => {
      // The socket does not close before its request has been read.
      socket.on('error', () => socket.destroy()).resume();
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>');
    });
    await new Promise<void>((resolve) => other?.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    await expect(status({ address: String(port) })).rejects.toThrow(
      /got something else\. Give the address of --health/,
    );
    other.close();
    await new Promise((resolve) => other?.once('close', resolve));
    await expect(status({ address: `127.0.0.1:${port}` })).rejects.toThrow(
      /No health server at .* got no answer/,
    );
    await expect(status({ address: 'nowhere' })).rejects.toThrow(/expected a port or HOST:PORT/);
  });
});
