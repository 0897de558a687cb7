import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { engineUnderTest, onWasm } from '../support/engines.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const of = <Name extends RunEvent['event']>(events: readonly RunEvent[], name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

describe('lockstep train', () => {
  it.skipIf(onWasm)(
    'trains the ConvNet on real MNIST with two workers, evaluates it and saves what eval reads back',
    async () => {
      const out = await temporaryFolder();
      const args = [
        '--workers',
        '2',
        '--threads',
        '1',
        '--max-steps',
        '40',
        '--evaluate',
        'test',
        '--out',
        out,
        '--json',
      ];
      const { status, stdout, events, stderr } = await lockstep(['train', ...args]);
      expect(stderr).toBe('');
      expect(status).toBe(0);
      expect(stdout.trim().split('\n')).toHaveLength(events.length);
      const steps = of(events, 'step');
      expect(steps.map(({ step }) => step)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
      const [first, last] = [steps[0]!.loss, steps.at(-1)!.loss];
      expect(first).toBeGreaterThan(2);
      expect(last).toBeLessThan(first / 3);
      const [result] = of(events, 'eval');
      expect(result!.count).toBe(10_000);
      expect(result!.accuracy).toBeGreaterThan(0.85);
      expect(of(events, 'done')[0]).toMatchObject({
        steps: 40,
        weightsSha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      });
      const log = await readFile(join(out, 'events.ndjson'), 'utf8');
      expect(log).toBe(stdout);
      expect(JSON.parse(await readFile(join(out, 'config.json'), 'utf8'))).toMatchObject({
        workers: 2,
        shards: 2,
        maxSteps: 40,
      });

      const again = await lockstep(['eval', out, '--json']);
      expect(again.stderr).toBe('');
      expect(again.status).toBe(0);
      const [evaluated] = of(again.events, 'eval');
      // Same shards, same tree: the same bits as the workers' own evaluation.
      expect(evaluated).toMatchObject({ loss: result!.loss, correct: result!.correct, count: 10_000 });
    },
  );

  it('evaluates at the interval of --evaluate-every and after the last step, with the same bits for any number of workers', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const run = async (name: string, ...options: string[]): Promise<readonly RunEvent[]> => {
      const args = ['--config', config, '--shards', '2', '--threads', '1', '--max-steps', '8', '--json'];
      const ended = await lockstep(['train', ...args, '--out', join(folder, name), ...options]);
      expect(ended.status, ended.stderr).toBe(0);
      return ended.events;
    };
    const often = await run('often', '--evaluate-every', '3steps', '--epochs', '9', '--workers', '2');
    expect(of(often, 'eval').map(({ step, split }) => [step, split])).toEqual([
      [3, 'test'],
      [6, 'test'],
      [8, 'test'],
      [8, 'train'],
    ]);
    const seldom = await run('seldom', '--evaluate-every', '3epochs', '--epochs', '9', '--single-process');
    const evaluations = of(seldom, 'eval');
    expect(evaluations.map(({ step, epoch }) => [step, epoch])).toEqual([
      [6, 3],
      [8, 4],
      [8, 4],
    ]);
    const same = of(often, 'eval').filter(({ step }) => step > 3);
    expect(same.map(({ loss, correct }) => [loss, correct])).toEqual(
      evaluations.map(({ loss, correct }) => [loss, correct]),
    );
    const refused = await lockstep(['train', '--config', config, '--evaluate-every', '5min']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/evaluateEvery: must be a number of steps or epochs.*got "5min"/);
  });

  it("prints the recipe's lines for people, and nothing on stdout", async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = [
      '--config',
      config,
      '--workers',
      '2',
      '--epochs',
      '2',
      '--log-every',
      '2',
      '--out',
      join(folder, 'run'),
    ];
    const { status, stdout, stderr } = await lockstep(['train', ...args]);
    expect(status).toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^Epoch:1\/2, step:2, loss:\d+\.\d{4}/m);
    expect(stderr).toMatch(/^Epoch:2\/2, step:2, loss:\d+\.\d{4}/m);
    expect(stderr).toMatch(
      /^Test set, epoch 2: Average loss: \d+\.\d{4}, Accuracy: \d+\/20 \(\d+\.\d{3}%\)/m,
    );
    expect(stderr).toMatch(
      /^Train set, epoch 2: Average loss: \d+\.\d{4}, Accuracy: \d+\/70 \(\d+\.\d{3}%\)/m,
    );
  });

  it('trains with a coordinator and workers that were started one by one, over TCP', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const port = await freePort();
    const endpoint = `tcp://127.0.0.1:${port}`;
    const [coordinator, ...workers] = await Promise.all([
      lockstep([
        'coordinator',
        '--listen',
        endpoint,
        '--config',
        config,
        '--workers',
        '2',
        '--epochs',
        '1',
        '--json',
        '--out',
        join(folder, 'run'),
      ]),
      lockstep(['worker', '--coordinator', endpoint, '--config', config]),
      lockstep(['worker', '--coordinator', endpoint, '--config', config]),
    ]);
    const warning = /^Warning: every user of this machine can take part in a run at tcp:[^\n]*\n$/;
    expect(coordinator.stderr).toMatch(warning);
    expect([coordinator, ...workers].map(({ status }) => status)).toEqual([0, 0, 0]);
    expect(of(coordinator.events, 'done')).toHaveLength(1);
    expect(of(coordinator.events, 'worker')[0]!.engine).toMatch(engineUnderTest);
  });

  it.skipIf(onWasm)('runs on the JavaScript engine as well, and says that it is slow', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = [
      '--config',
      config,
      '--workers',
      '2',
      '--epochs',
      '1',
      '--engine',
      'js',
      '--out',
      join(folder, 'run'),
      '--json',
    ];
    const { status, events } = await lockstep(['train', ...args]);
    expect(status).toBe(0);
    expect(of(events, 'worker')[0]!.engine).toContain('JavaScript');
    expect(of(events, 'done')[0]!.steps).toBe(2);
  });
});

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as { port: number };
  await new Promise((closed) => server.close(closed));
  return port;
}
