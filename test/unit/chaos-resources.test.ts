import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Resources } from '../../src/chaos/resources.js';
import type { Training } from '../../src/chaos/training-process.js';
import { temporaryFolder } from '../support/lockstep.js';

/** A training without processes: only its sockets count. */
const training = { pid: 0, members: new Map<number, number>(), processes: () => [] } as unknown as Training;

/** Samples a run once a second; at each `at` a worker leaves another socket file behind. */
async function growthOf(seconds: number, at: readonly number[]) {
  const sockets = await temporaryFolder();
  mkdirSync(join(sockets, 'run'));
  const resources = new Resources();
  for (let second = 1; second <= seconds; second++) {
    vi.advanceTimersByTime(1_000);
    if (at.includes(second)) writeFileSync(join(sockets, 'run', `${second}.sock`), '');
    resources.sample(training, sockets, sockets);
  }
  return resources.growth().map(({ what, grew }) => ({ what, grew }));
}

describe('the growth of socket files in a soak', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => vi.useRealTimers());

  it('is no growth while the run starts its processes', async () => {
    expect(await growthOf(21, [12, 13, 14])).toEqual([]);
    expect(await growthOf(300, [31, 32, 33, 34])).toEqual([{ what: 'socketFiles', grew: false }]);
  });

  it('is found if files are left behind during the run', async () => {
    const each = Array.from({ length: 10 }, (_, i) => 30 * (i + 1));
    expect(await growthOf(300, each)).toEqual([{ what: 'socketFiles', grew: true }]);
  });
});
