/** Entry of the thread that hashes and writes checkpoints, so that the main thread goes on training meanwhile. */

import { parentPort, workerData } from 'node:worker_threads';
import { writeCheckpoint } from '../../shared/checkpoint/checkpoint.js';
import { invariant, toWireError } from '../../shared/errors.js';
import { FaultInjector } from '../faults/fault-injector.js';
import type { FromWriter, ToWriter, WriterOptions } from './writer.js';

const port = parentPort;
invariant(port, 'writer-thread.js is started by CheckpointWriter');

const { faultRequests } = workerData as WriterOptions;
const faults = faultRequests === undefined ? undefined : new FaultInjector(faultRequests);

port.on('message', ({ directory, about, layout, state, keep }: ToWriter) => {
  const answer = (message: FromWriter): void => port.postMessage(message);
  writeCheckpoint(directory, about, layout, state, keep, () =>
    faults?.faultPointHit('checkpoint', about.step),
  ).then(
    (path) => answer({ kind: 'written', step: about.step, path }),
    (error: unknown) => answer({ kind: 'failed', step: about.step, error: toWireError(error) }),
  );
});
