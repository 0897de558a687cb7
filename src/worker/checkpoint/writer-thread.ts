/** Entry of the thread that hashes and writes checkpoints, so that the main thread goes on training meanwhile. */

import { parentPort } from 'node:worker_threads';
import { writeCheckpoint } from '../../shared/checkpoint/checkpoint.js';
import { invariant, toWireError } from '../../shared/errors.js';
import { InjectedFaults } from '../faults/injected-faults.js';
import type { FromWriter, ToWriter } from './writer.js';

const port = parentPort;
invariant(port, 'writer-thread.js is started by CheckpointWriter');

port.on('message', ({ directory, about, layout, state, keep, inject }: ToWriter) => {
  const answer = (message: FromWriter): void => port.postMessage(message);
  const faults = InjectedFaults.of(inject);
  writeCheckpoint(directory, about, layout, state, keep, () =>
    faults?.faultPointHit('checkpoint', about.step),
  ).then(
    (path) => answer({ kind: 'written', step: about.step, path }),
    (error: unknown) => answer({ kind: 'failed', step: about.step, error: toWireError(error) }),
  );
});
