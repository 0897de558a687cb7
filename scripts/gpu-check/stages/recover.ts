/** The stage `recover`: one of two workers is killed in mid-run, and the result has the bits of an undisturbed run. */

import { StageFailure, type Row, type Stage } from '../stage.js';
import { bitsOf, comparableRun, describe } from './bits.js';

export const recoverStage: Stage = {
  name: 'recover',
  title: 'A run whose worker is killed has the bits of an undisturbed one',
  seconds: 35,
  needsAdapter: true,
  run: async (check, signal) => {
    check.undisturbed ??= await comparableRun(check, 'undisturbed', { workers: 1 }, { signal });
    const after = Math.floor(check.sizes.steps / 2);
    let killed: number | undefined;
    const training = await comparableRun(
      check,
      'killed worker',
      { workers: 2 },
      {
        signal,
        onEvent: (event, workers) => {
          if (event.event !== 'step' || event.step !== after) return;
          killed = workers.at(-1);
          if (killed !== undefined) process.kill(killed, 'SIGKILL');
        },
      },
    );
    const lost = training.events.filter((event) => event.event === 'worker' && event.state === 'lost').length;
    const rows: Row[] = [
      ['undisturbed', describe(check.undisturbed)],
      [`worker killed after step ${after}`, describe(training)],
      ['workers lost', String(lost)],
    ];
    if (killed === undefined || lost < 1) throw new StageFailure('expected a lost worker, got none', rows);
    if (bitsOf(training) !== bitsOf(check.undisturbed))
      throw new StageFailure('expected the bits of the undisturbed run, got others', rows);
    return rows;
  },
};
