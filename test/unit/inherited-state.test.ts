import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { endWithoutCoordinator } from '../../src/launcher/end-without-coordinator.js';
import { readInheritedState } from '../../src/launcher/inherited-state.js';
import { temporaryFolder } from '../support/lockstep.js';

const runId = '00000000-0000-4000-8000-000000000000';
const step = (number: number): object => ({ event: 'step', step: number });

async function stateAfter(...events: readonly object[]): ReturnType<typeof readInheritedState> {
  const folder = join(await temporaryFolder(), 'run');
  await mkdir(folder);
  const lines = events.map((event) => JSON.stringify({ ...event, timeMs: 1 }));
  await writeFile(join(folder, 'events.ndjson'), `${lines.join('\n')}\n`);
  return readInheritedState(folder);
}

describe('the state that a coordinator inherits', () => {
  it('is the last step, the last checkpoint and the last evaluation of the log', async () => {
    const checkpoint = { event: 'checkpoint', step: 4, path: '/out/checkpoints/step-4' };
    const evaluated = ['train', 'test'].map((split) => ({ event: 'eval', split, step: 4 }));
    expect(
      await stateAfter({ event: 'run', runId }, step(4), checkpoint, ...evaluated, step(5), step(6)),
    ).toEqual({
      runId,
      step: 6,
      evaluated: { step: 4, splits: ['train', 'test'] },
      checkpoint: { step: 4, path: '/out/checkpoints/step-4' },
    });
  });

  it('begins at the checkpoint from which the run was resumed, not at a later step of the log', async () => {
    const resumed = { event: 'resumed', step: 4, path: '/other/checkpoints/step-4', skipped: [] };
    const late = { event: 'checkpoint', step: 8, path: '/out/checkpoints/step-8' };
    const evaluated = { event: 'eval', split: 'test', step: 8 };
    const log = [{ event: 'run', runId }, step(7), step(8), late, evaluated, resumed, step(5)];
    expect(await stateAfter(...log)).toEqual({
      runId,
      step: 5,
      evaluated: { step: 0, splits: [] },
      checkpoint: { step: 4, path: '/other/checkpoints/step-4' },
    });
  });
});

describe('a log to which a later run was appended', () => {
  it('has the state of the later run alone', async () => {
    const other = '00000000-0000-4000-8000-000000000001';
    const checkpoint = { event: 'checkpoint', step: 4, path: '/out/checkpoints/step-4' };
    const error = { event: 'error', code: 'DATA', message: 'm' };
    const log = [{ event: 'run', runId }, step(4), checkpoint, error];
    expect(await stateAfter(...log)).toBeNull();
    expect(await stateAfter(...log, { event: 'run', runId: other }, step(1))).toEqual({
      runId: other,
      step: 1,
      evaluated: { step: 0, splits: [] },
      checkpoint: null,
    });
  });
});

describe('the end of a stopped run whose coordinator was lost', () => {
  const resume = { step: 30, path: '/out/checkpoints/step-30' };
  const state = { runId, step: 0, evaluated: { step: 0, splits: [] }, checkpoint: null };

  it('is the requested one if no step follows the checkpoint from which the run was resumed', () => {
    for (const reported of [state, { ...state, step: 30 }, null]) {
      expect(endWithoutCoordinator(reported, resume, 'SIGTERM', 'Coordinator lost.')).toEqual({
        status: 143,
        event: {
          event: 'error',
          code: 'INTERRUPTED',
          message: 'Interrupted by SIGTERM after step 30. Continue with --resume /out/checkpoints/step-30',
        },
      });
    }
  });

  it('is a failure that names the newest checkpoint if later steps are lost', () => {
    expect(endWithoutCoordinator({ ...state, step: 31 }, resume, 'SIGTERM', 'Coordinator lost.')).toEqual({
      status: 1,
      event: {
        event: 'error',
        code: 'PEER_LOST',
        message:
          'Coordinator lost. The state after step 30 is not saved. Continue with --resume /out/checkpoints/step-30',
      },
    });
    const own = { step: 40, path: '/out/checkpoints/step-40' };
    const later = endWithoutCoordinator({ ...state, step: 40, checkpoint: own }, resume, 'SIGINT', 'Lost.');
    expect(later).toMatchObject({ status: 130, event: { code: 'INTERRUPTED' } });
  });
});
