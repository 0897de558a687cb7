import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/run-events.js';
import { freePort } from '../support/free-port.js';
import { Lockstep, lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

const hashOf = (events: readonly RunEvent[]): string | undefined =>
  events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0];

const patient = { timeoutMs: 170_000 };

describe('gradients between hosts', () => {
  it('come to the same bits in two levels as in one process, in float32 and in bfloat16', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const common = ['--config', config, '--shards', '4', '--threads', '1', '--epochs', '4', '--json'];
    const alone = async (exchange: string, ...more: string[]): Promise<string | undefined> => {
      const out = join(folder, [exchange, ...more].join('-'));
      const args = ['train', ...common, '--exchange', exchange, '--out', out, ...more];
      const { events, stderr, status } = await lockstep(args, patient);
      expect(status, stderr).toBe(0);
      return hashOf(events);
    };
    const exact = await alone('float32', '--single-process');
    const rounded = await alone('bfloat16', '--single-process');
    expect(rounded).not.toBe(exact);
    expect(await alone('bfloat16', '--workers', '2', '--shared-memory', 'off')).toBe(rounded);
    expect(await alone('bfloat16', '--workers', '3')).toBe(rounded);
    for (const [exchange, expected] of [
      ['float32', exact],
      ['bfloat16', rounded],
    ] as const) {
      const endpoint = `tcp://127.0.0.1:${await freePort()}`;
      const how = ['--collective', 'hierarchical', '--exchange', exchange, '--workers', '4'];
      const out = join(folder, `hosts-${exchange}`);
      const coordinator = new Lockstep(
        ['coordinator', '--listen', endpoint, ...common, ...how, '--out', out],
        patient,
      );
      // In an order that is not that of the ranks.
      const workers = ['one', 'two', 'one', 'two'].map((host) =>
        lockstep(['worker', '--coordinator', endpoint], { ...patient, env: { LOCKSTEP_HOST: host } }),
      );
      const ended = await Promise.all([coordinator.ended, ...workers]);
      for (const { status, stderr } of ended) expect(status, stderr).toBe(0);
      expect(hashOf(ended[0]?.events ?? [])).toBe(expected);
    }
  }, 180_000);
});
