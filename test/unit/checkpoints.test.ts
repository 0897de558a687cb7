import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema } from '../../src/shared/config/run-config.js';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import type { NamedVectors, PinnedVectors } from '../../src/shared/model/named-vectors.js';
import type { WorkerMessage } from '../../src/shared/protocol/messages.js';
import { Checkpoints, type CheckpointedState } from '../../src/worker/checkpoint/checkpoints.js';
import { checkpointContext } from '../support/checkpoint-context.js';
import { temporaryFolder } from '../support/lockstep.js';

const input = runConfigSchema.parse({ workers: 1, threads: 1, checkpointEvery: '2steps' });
const config = resolveConfig(input, { cores: 1, gpus: [] });
const layout = [{ name: 'w', shape: [3], dtype: 'float32', trainable: true }];
const parameters = [{ weight: 0, shape: [3], offset: 0, size: 3 }];

const context = checkpointContext(config);

/** A state whose snapshot is allocated by `allocate` and whose copy is made by `save`. */
function stateOf(
  allocate: () => PinnedVectors,
  save: (into?: PinnedVectors) => NamedVectors = (into) => into ?? new Map(),
): CheckpointedState {
  return {
    optimizer: { parameters } as unknown as CheckpointedState['optimizer'],
    parameterVectors: ['weights'],
    schedulerState: new Map(),
    allocateSnapshot: allocate,
    save,
    restore: () => undefined,
  };
}

describe('the checkpoints of a worker', () => {
  it('report a state that cannot be copied once, and do not reject', async () => {
    const sent: WorkerMessage[] = [];
    const checkpoints = new Checkpoints({ layout, config }, context, {
      send: (message) => sent.push(message),
      tick: () => undefined,
    });
    const state = stateOf(() => {
      throw new RangeError('Array buffer allocation failed');
    });
    const folder = await temporaryFolder();
    checkpoints.after(1, 10, state, folder);
    expect(sent).toEqual([]);
    checkpoints.after(2, 10, state, folder);
    checkpoints.after(4, 10, state, folder);
    await checkpoints.last(5, state, folder);
    await checkpoints.close();
    expect(sent).toEqual([
      {
        type: 'checkpointed',
        step: 2,
        path: '',
        error: expect.stringMatching(
          /^Checkpoint of step 2 can't be written: expected memory .* got "Array buffer allocation failed"/,
        ) as string,
      },
      { type: 'checkpointed', step: 4, path: '', error: '' },
      { type: 'checkpointed', step: 5, path: '', error: '' },
    ]);
  });

  it('are written after the next step on request, also without an interval', async () => {
    const sent: WorkerMessage[] = [];
    const checkpoints = new Checkpoints({ layout, config: { ...config, checkpointEvery: null } }, context, {
      send: (message) => sent.push(message),
      tick: () => undefined,
    });
    const state = stateOf(() => {
      throw new RangeError('the copy was begun');
    });
    const folder = await temporaryFolder();
    checkpoints.after(1, 10, state, folder);
    checkpoints.request();
    checkpoints.after(2, 10, state, folder);
    checkpoints.after(3, 10, state, folder);
    await checkpoints.close();
    expect(sent).toMatchObject([{ type: 'checkpointed', step: 2 }]);
  });

  it('copy the state before the next step can change it', async () => {
    const checkpoints = new Checkpoints({ layout, config }, context, {
      send: () => undefined,
      tick: () => undefined,
    });
    const saved: number[] = [];
    let step = 2;
    const snapshot: PinnedVectors = new Map([['weights', allocatePinned(3)]]);
    const state = stateOf(
      () => snapshot,
      (into) => {
        saved.push(step);
        return into ?? snapshot;
      },
    );
    checkpoints.after(2, 10, state, await temporaryFolder());
    step = 3;
    expect(saved).toEqual([2]);
    await checkpoints.close();
  });

  it('are written one after the other, also if two calls wait for the same write', async () => {
    const happened: string[] = [];
    const checkpoints = new Checkpoints({ layout, config }, context, {
      send: () => happened.push('report'),
      tick: () => undefined,
    });
    const snapshot: PinnedVectors = new Map([['weights', allocatePinned(3)]]);
    const state = stateOf(
      () => snapshot,
      (into) => {
        happened.push('copy');
        return into ?? snapshot;
      },
    );
    const folder = await temporaryFolder();
    checkpoints.after(2, 10, state, folder);
    await Promise.all([checkpoints.last(5, state, folder), checkpoints.last(5, state, folder)]);
    await checkpoints.close();
    expect(happened).toEqual(['copy', 'report', 'copy', 'report', 'copy', 'report']);
  });
});
