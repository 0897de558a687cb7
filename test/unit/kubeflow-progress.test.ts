import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, expect, it, vi } from 'vitest';
import { KubeflowProgress } from '../../src/cli/reporters/kubeflow-progress.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { temporaryFolder } from '../support/lockstep.js';

/** Kubeflow's server, with a certificate of an authority of its own. */
class StatusServer {
  readonly requests: { readonly token: string | undefined; readonly url: string; readonly body: string }[] =
    [];
  status = 200;
  readonly #server: Server;

  constructor(key: string, certificate: string) {
    const options = { key: readFileSync(key), cert: readFileSync(certificate) };
    this.#server = createServer(options, (request, response) => {
      void text(request).then((body) => {
        this.requests.push({ token: request.headers.authorization, url: request.url ?? '', body });
        response.writeHead(this.status).end();
      });
    });
    servers.push(this.#server);
  }

  async url(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `https://localhost:${(this.#server.address() as AddressInfo).port}/status`;
  }
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function opened() {
  const folder = await temporaryFolder();
  const [key, caFile, tokenFile] = ['server.key', 'ca.crt', 'token'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', [...kind, '-keyout', key, '-out', caFile, '-days', '2', ...subject], {
    stdio: 'pipe',
  });
  writeFileSync(tokenFile, 'first\n');
  const server = new StatusServer(key, caFile);
  const clock = { nowMs: Date.UTC(2026, 0, 31, 12) };
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const address = { url: await server.url(), caFile, tokenFile };
  const progress = new KubeflowProgress(address, warn, () => clock.nowMs);
  progress.emit({ event: 'start', epochs: 1, steps: 200, stepsPerEpoch: 200, parameters: 1, dataSha256: '' });
  return { server, clock, warnings, tokenFile, progress, address };
}

const step = (number: number): RunEvent => ({
  event: 'step',
  epoch: 1,
  step: number,
  loss: 0.25,
  learningRate: 0.1,
  imagesPerSecond: 64,
  seconds: 0.5,
  samples: 32,
});

it('reports the progress with the certificate and the present token, at most every 10 s', async () => {
  const { server, clock, warnings, tokenFile, progress } = await opened();
  progress.emit(step(10));
  await vi.waitFor(() => expect(server.requests).toHaveLength(1));
  expect(server.requests[0]).toMatchObject({ token: 'Bearer first', url: '/status' });
  expect(JSON.parse(server.requests[0]?.body ?? '')).toEqual({
    trainerStatus: {
      progressPercentage: 5,
      estimatedRemainingSeconds: 95,
      metrics: [
        { name: 'loss', value: '0.25' },
        { name: 'images_per_second', value: '64' },
      ],
      lastUpdatedTime: '2026-01-31T12:00:00Z',
    },
  });
  writeFileSync(tokenFile, 'second');
  clock.nowMs += 9_999;
  progress.emit(step(20));
  clock.nowMs += 1;
  progress.emit({
    event: 'eval',
    split: 'test',
    epoch: 1,
    step: 20,
    loss: 0.5,
    metrics: {},
    accuracy: 0.75,
    count: 4,
  });
  await vi.waitFor(() => {
    progress.emit(step(200));
    expect(server.requests).toHaveLength(2);
  });
  const { token, body } = server.requests[1] ?? {};
  expect(token).toBe('Bearer second');
  expect(JSON.parse(body ?? '')).toMatchObject({
    trainerStatus: {
      progressPercentage: 99,
      estimatedRemainingSeconds: 0,
      metrics: expect.arrayContaining([{ name: 'test_accuracy', value: '0.75' }]) as unknown,
    },
  });
  progress.emit({ event: 'done', steps: 200, seconds: 1, imagesPerSecond: 64, weightsSha256: '' });
  await progress.close();
  expect(server.requests).toHaveLength(3);
  expect(JSON.parse(server.requests[2]?.body ?? '')).toMatchObject({
    trainerStatus: { progressPercentage: 100, estimatedRemainingSeconds: 0 },
  });
  expect(warnings).toEqual([]);
});

it('warns once while the reports fail, and goes on', async () => {
  const { server, clock, warnings, progress } = await opened();
  server.status = 403;
  for (const number of [1, 2, 3]) {
    await vi.waitFor(() => {
      clock.nowMs += 10_000;
      progress.emit(step(number));
      expect(server.requests.length).toBeGreaterThanOrEqual(number);
    });
  }
  await progress.close();
  expect(warnings).toEqual([
    "The progress can't be reported to Kubeflow (status 403). The training continues, and later reports follow.",
  ]);
});

it('sends no token to a server with another certificate', async () => {
  const [own, other] = [await opened(), await opened()];
  const warnings: string[] = [];
  const wrong = new KubeflowProgress({ ...own.address, caFile: other.address.caFile }, (message) => {
    warnings.push(message);
  });
  wrong.emit({ event: 'done', steps: 1, seconds: 1, imagesPerSecond: 1, weightsSha256: '' });
  await wrong.close();
  expect(warnings).toEqual([expect.stringMatching(/DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY|CERT/)]);
  expect(own.server.requests).toEqual([]);
});
