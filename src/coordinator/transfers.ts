/** The messages by which a worker sends its artefacts to the run's folder, or fetches a checkpoint from it. Pure. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { readyOf, withWorker } from './workers.js';

type TransferMessage = MessageOf<WorkerMessage, 'offer' | 'want' | 'piece' | 'withdraw' | 'fetch'>;

/** Passes the message on to the artefact store (artefacts/artefact-store.ts). */
export function onTransfer(
  state: State,
  worker: WorkerRecord,
  message: TransferMessage,
  nowMs: number,
): Decision {
  const from = worker.connection;
  if (message.type === 'fetch') {
    const { transfer, step } = message;
    const path = state.checkpoint?.step === step ? state.checkpoint.path : null;
    return { state, actions: [{ kind: 'serve', to: from, transfer, path }] };
  }
  const parameterCount = readyOf(worker)?.parameterCount ?? 0;
  // A piece of the last checkpoint is progress of its sender, also before the next heartbeat reports it.
  const isProgress = state.phase === 'stopping' && message.type === 'piece';
  const sender = { ...worker, activity: { ...worker.activity, tickedMs: nowMs } };
  return {
    state: isProgress ? withWorker(state, sender) : state,
    actions: [{ kind: 'receive', from, message, parameterCount }],
  };
}
