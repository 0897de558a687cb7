/** Passes a worker's message to the module of its subject. Pure. */

import type { WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { andThen, noActions } from './actions.js';
import { messageRefusal, refuse } from './admission.js';
import { onDrained } from './balance.js';
import { onCheckpointed, onFinished, onSaved } from './finish.js';
import { onJoin, onLoading, onReady, onUnknownPeer } from './join.js';
import { onFailed, suspect } from './loss.js';
import { onConnected, onHeartbeat, onLastCommitted } from './member-reports.js';
import { onCommitted, onEvaluated, toEvent } from './progress.js';
import { onLeave, onStepOfAnother } from './stop-request.js';
import { canTakeOver, takeOver } from './takeover.js';
import { onTransfer } from './transfers.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { describeWorker, rankOf, readyOf, withWorker } from './workers.js';

export function handleMessage(
  state: State,
  from: ConnectionId,
  message: WorkerMessage,
  nowMs: number,
): Decision {
  if (message.type === 'join') return onJoin(state, from, message, nowMs);
  const sender = state.workers.get(from);
  if (!sender && message.type === 'rejoin' && canTakeOver(state))
    return takeOver(state, from, message, nowMs);
  if (!sender) return onUnknownPeer(state, from, message);
  const refusal = messageRefusal(sender, message);
  if (refusal !== undefined) {
    const text = `Message "${message.type}" from ${describeWorker(sender)} refused: ${refusal}.`;
    return refuse(state, `message ${message.type}`, text);
  }
  // Messages of a loading worker do not extend the time in which it must become ready.
  const worker = readyOf(sender) === null ? sender : { ...sender, lastHeardMs: nowMs };
  if (message.type === 'loading') return onLoading(state, sender, message, nowMs);
  if (message.type === 'ready') return onReady(state, worker, message, nowMs);
  if (message.type === 'committed')
    return andThen(onCommitted(state, worker, message, nowMs), (next) => onStepOfAnother(next, nowMs));
  if (message.type === 'heartbeat') return onHeartbeat(state, worker, message, nowMs);
  return handleOther(withWorker(state, worker), worker, message, nowMs);
}

type OtherMessage = Exclude<
  WorkerMessage,
  { readonly type: 'join' | 'loading' | 'ready' | 'committed' | 'heartbeat' }
>;

/** Handles the messages that are rare compared to the steps. `state` contains `worker`. */
function handleOther(state: State, worker: WorkerRecord, message: OtherMessage, nowMs: number): Decision {
  const current = 'generation' in message && message.generation === state.generation;
  switch (message.type) {
    case 'rejoin':
      return noActions(state);
    case 'connected':
      return current ? onConnected(state, worker, message, nowMs) : noActions(state);
    case 'last_committed':
      return current ? onLastCommitted(state, worker, message, nowMs) : noActions(state);
    case 'drained':
      return current ? onDrained(state, worker, nowMs) : noActions(state);
    case 'evaluated':
      return onEvaluated(state, message, nowMs);
    case 'misclassified':
    case 'confusion':
    case 'model':
    case 'histograms':
      return { state, actions: current ? [toEvent(worker, message)] : [] };
    case 'checkpointed':
      return onCheckpointed(state, message, nowMs);
    case 'offer':
    case 'fetch':
    case 'want':
    case 'piece':
    case 'withdraw':
      return onTransfer(state, worker, message, nowMs);
    case 'ledger':
      return { state, actions: [{ kind: 'record', entries: message.entries }] };
    case 'spans':
      return { state, actions: [{ kind: 'trace', rank: rankOf(worker) ?? 0, spans: message.spans }] };
    case 'finished':
      if (!current || state.phase !== 'running') return noActions(state);
      return onFinished(state, worker, message, nowMs);
    case 'saved':
      return state.phase === 'saving' ? onSaved(state, message.path, nowMs) : noActions(state);
    case 'lost':
      return current ? suspect(state, message.rank, rankOf(worker), nowMs) : noActions(state);
    case 'failed':
      return onFailed(state, worker, message.error, nowMs);
    case 'leave':
      return onLeave(state, worker, message, nowMs);
  }
}
