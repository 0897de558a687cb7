import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { freePort } from '../support/free-port.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const hashOf = (events: readonly RunEvent[]): string | undefined =>
  events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0];

async function alone(common: readonly string[], ...more: string[]): Promise<string | undefined> {
  const args = ['train', ...common, '--out', join(await temporaryFolder(), 'run'), ...more];
  const { events, stderr, status } = await lockstep(args);
  expect(status, stderr).toBe(0);
  return hashOf(events);
}

/** Four workers that take themselves for those of two hosts, in an order that is not that of the ranks. */
async function onTwoHosts(common: readonly string[]): Promise<string | undefined> {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const how = [
    '--collective',
    'hierarchical',
    '--workers',
    '4',
    '--out',
    join(await temporaryFolder(), 'run'),
  ];
  const coordinator = new Lockstep(['coordinator', '--listen', endpoint, ...common, ...how]);
  const definition = common[0] === '--config' ? common.slice(0, 2) : [];
  const workers = ['one', 'two', 'one', 'two'].map((host) =>
    lockstep(['worker', '--coordinator', endpoint, ...definition], { env: { LOCKSTEP_HOST: host } }),
  );
  const ended = await Promise.all([coordinator.ended, ...workers]);
  for (const { status, stderr, stdout } of ended) expect(status, `${stderr}${stdout}`).toBe(0);
  return hashOf(ended[0].events);
}

describe('gradients between hosts', () => {
  it('have the same bits in two levels as in one process, in float32 and in bfloat16', async () => {
    const { config } = await writeSmallTraining(await temporaryFolder(), { count: 70 });
    const common = (gradientDtype: string): string[] => [
      '--config',
      config,
      '--shards',
      '4',
      '--threads',
      '1',
      '--epochs',
      '4',
      '--json',
      '--gradient-dtype',
      gradientDtype,
    ];
    const exact = await alone(common('float32'), '--single-process');
    const rounded = await alone(common('bfloat16'), '--single-process');
    expect(rounded).not.toBe(exact);
    expect(await alone(common('bfloat16'), '--workers', '2', '--shared-memory', 'off')).toBe(rounded);
    expect(await alone(common('bfloat16'), '--workers', '3')).toBe(rounded);
    expect(await onTwoHosts(common('float32'))).toBe(exact);
    expect(await onTwoHosts(common('bfloat16'))).toBe(rounded);
  });

  it('have the same bits for the ConvNet, whose buckets all workers of a host reduce in chunks', async () => {
    const common = ['--shards', '4', '--threads', '1', '--max-steps', '6', '--evaluate', 'none', '--json'];
    const exact = await alone(common, '--workers', '1');
    expect(exact).toMatch(/^[0-9a-f]{64}$/);
    expect(await onTwoHosts(common)).toBe(exact);
  });
});
