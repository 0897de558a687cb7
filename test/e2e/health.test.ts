import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { tinyOptions, writeTinyTraining } from '../support/tiny-training.js';

/** The address of a process's health server, from its log. */
async function healthOf(command: Lockstep): Promise<string> {
  return eventually('the address', () => /^Health: (http:\S+\/)healthz/m.exec(command.stderr)?.[1]);
}

/** For example `200 ok`; empty without an answer. */
async function probe(url: string, method = 'GET'): Promise<string> {
  try {
    const answer = await fetch(url, { method });
    return `${answer.status} ${await answer.text()}`.trim();
  } catch {
    return '';
  }
}

const both = async (url: string): Promise<string> =>
  `${await probe(`${url}healthz`)}, ${await probe(`${url}readyz`)}`;

/**
 * A training whose data source blocks the event loop of the process with HANGS_WHILE as long as that file exists. A wait takes no
 * processor time.
 */
async function writeHangingTraining(folder: string): Promise<string> {
  const config = join(folder, 'lockstep.config.js');
  await writeFile(
    config,
    `import { existsSync } from 'node:fs';
import { defineTraining, samples } from 'lockstep';
const cell = new Int32Array(new SharedArrayBuffer(4));
async function* generate(indices) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  while (existsSync(process.env.HANGS_WHILE ?? '')) Atomics.wait(cell, 0, 0, 50);
  for (const i of indices) yield { inputs: [[Math.sin(i), Math.cos(i)]], targets: [i % 3] };
}
export default defineTraining({
  data: samples({
    name: 'points', version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 16, generate }, test: { count: 4, generate },
  }),
  batchSize: 8, epochs: 100000, checkpointEvery: '1000steps',
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [2] })] }),
});
`,
  );
  return config;
}

describe('the probes of a coordinator and its workers', () => {
  it('tell who has joined, and which main thread hangs', async () => {
    const folder = await temporaryFolder();
    const config = await writeHangingTraining(folder);
    const endpoint = `tcp://127.0.0.1:${await freePort()}`;
    const hangs = join(folder, 'hangs');
    const worker = (env: Record<string, string> = {}): Lockstep =>
      new Lockstep(['worker', '--coordinator', endpoint, '--config', config, '--health', '0'], { env });
    const first = worker({ HANGS_WHILE: hangs });
    const firstUrl = await healthOf(first);
    expect(await both(firstUrl)).toBe('200 ok, 503 connecting');

    const out = ['--out', join(folder, 'run'), '--json'];
    const common = ['--config', config, '--engine', 'wasm', '--shards', '2', '--threads', '1'];
    const coordinator = new Lockstep(
      ['coordinator', '--listen', endpoint, '--workers', '2', '--health', '127.0.0.1:0'].concat(
        ['--step-timeout-ms', '2000', '--evaluate', 'none'],
        common,
        out,
      ),
    );
    const url = await healthOf(coordinator);
    // It is ready for workers, and the training has not started.
    await eventually(
      'a coordinator that accepts workers',
      async () => (await both(url)) === '200 ok, 200 ok',
    );
    await eventually('a loaded worker', async () => (await both(firstUrl)) === '200 ok, 503 standby');
    expect(coordinator.events.some(({ event }) => event === 'step')).toBe(false);

    const second = worker();
    const secondUrl = await healthOf(second);
    await coordinator.event('step');
    expect([await both(firstUrl), await both(secondUrl)]).toEqual(['200 ok, 200 ok', '200 ok, 200 ok']);

    await writeFile(hangs, '');
    await eventually('a worker that hangs', async () => (await both(firstUrl)) === '503 hung, 503 hung');
    // The other one waits for it, and then trains without it.
    await coordinator.event('generation', ({ workers }) => workers.length === 1);
    expect(await both(secondUrl)).toBe('200 ok, 200 ok');
    expect(await both(url)).toBe('200 ok, 200 ok');
    await first.ended;
    expect(await probe(`${firstUrl}healthz`)).toBe('');
    await rm(hangs);
    coordinator.kill('SIGTERM');
    expect((await coordinator.ended).status).toBe(143);
  });
});

describe('the probes of lockstep train', () => {
  it('are ready while it trains, answer nothing else, and reveal nothing', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const training = new Lockstep(['train', '--out', 'run', ...tinyOptions, '--health', '0'], {
      cwd: folder,
      env: { PACE: '100', EPOCHS: '1000' },
    });
    const url = await healthOf(training);
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(await probe(`${url}healthz`)).toBe('200 ok');
    expect(await probe(`${url}readyz`)).toMatch(/^(503 starting|200 ok)$/);
    await training.event('step');
    expect(await both(url)).toBe('200 ok, 200 ok');
    expect(await probe(`${url}readyz`, 'HEAD')).toBe('200');
    expect(await probe(`${url}readyz`, 'POST')).toBe('405 not allowed');
    expect(await probe(url)).toBe('404 not found');
    expect(await probe(`${url}healthz/../metrics`)).toBe('404 not found');
    training.kill('SIGTERM');
    await training.ended;
  });

  it('are refused at an address that is taken or malformed', async () => {
    const folder = await temporaryFolder();
    await writeTinyTraining(folder);
    const wrong = await lockstep(['train', ...tinyOptions, '--health', 'nowhere'], { cwd: folder });
    expect(wrong.status).toBe(2);
    expect(wrong.stderr).toContain('--health: expected a port or HOST:PORT, got "nowhere".');
    const port = String(await freePort());
    const worker = (): Lockstep =>
      new Lockstep(['worker', '--coordinator', `ipc://${join(folder, 'none')}`, '--health', port]);
    const holder = worker();
    await healthOf(holder);
    const { status, stderr } = await worker().ended;
    expect(status).toBe(2);
    expect(stderr).toContain(`--health: 127.0.0.1:${port} cannot be bound (EADDRINUSE)`);
    holder.kill('SIGTERM');
    await holder.ended;
  });
});
