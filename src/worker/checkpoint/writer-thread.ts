/** Entry point of the thread that hashes and writes checkpoints while the main thread continues to train. */

import { parentPort, workerData } from 'node:worker_threads';
import { writeCheckpoint } from '../../shared/checkpoint/write-checkpoint.js';
import { invariant, toWireError } from '../../shared/errors.js';
import { FaultInjector } from '../faults/fault-injector.js';
import type { FromWriter, ToWriter, WriterOptions } from './writer.js';

const port = parentPort;
invariant(port, 'writer-thread.js is started by CheckpointWriter');

const { faultRequests } = workerData as WriterOptions;
const faults = faultRequests === undefined ? undefined : new FaultInjector(faultRequests);

port.on('message', (task: ToWriter) => {
  const { step } = task.about;
  const answer = (message: FromWriter): void => port.postMessage(message);
  const onWritten = (): void => faults?.faultPointHit('checkpoint', step);
  writeCheckpoint(task, onWritten, () => answer({ kind: 'progress' })).then(
    (path) => answer({ kind: 'written', step, path }),
    (error: unknown) => answer({ kind: 'failed', step, error: toWireError(error) }),
  );
});
