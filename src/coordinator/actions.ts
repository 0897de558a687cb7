/** Constructors of actions and decisions. Pure. */

import type { CoordinatorMessage } from '../shared/protocol/messages.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import { enter } from './transitions.js';
import type { Action, Decision, Failure, State, WorkerRecord } from './types.js';
import { rankOf, readyOf } from './workers.js';

/** Longest text of an error that is sent to a worker. */
const maxTextLength = 16_000;

export const emit = (event: RunEvent): Action => ({ kind: 'emit', event });

export const warn = (message: string): Action => emit({ event: 'warning', message });

export function sendTo(workers: Iterable<WorkerRecord>, message: CoordinatorMessage): Action[] {
  return [...workers].map(({ connection }) => ({ kind: 'send', to: connection, message }));
}

export const noActions = (state: State): Decision => ({ state, actions: [] });

/** Applies `next` to the state of `first` and concatenates the actions. */
export function andThen(first: Decision, next: (state: State) => Decision): Decision {
  const second = next(first.state);
  return { state: second.state, actions: [...first.actions, ...second.actions] };
}

/** The event of a worker that joined or is gone. */
export function workerEvent(
  state: State,
  worker: WorkerRecord,
  change: 'joined' | 'lost' | 'left',
  reason?: string,
): Action {
  const ready = readyOf(worker);
  return emit({
    event: 'worker',
    state: change,
    rank: rankOf(worker),
    pid: worker.join.pid,
    host: worker.join.host,
    device: ready?.device ?? '',
    engine: ready?.engine ?? '',
    generation: state.generation,
    ...(reason === undefined ? {} : { reason }),
  });
}

/** The message that ends a worker. */
export function abortMessage({ code, message }: Failure): CoordinatorMessage {
  return { type: 'abort', error: { code, message: message.slice(0, maxTextLength) } };
}

/** Ends the run with an error, which is sent to every worker. */
export function fail(state: State, failure: Failure, status: number, nowMs: number): Decision {
  return {
    state: enter(state, 'failed', nowMs),
    actions: [
      emit({ event: 'error', code: failure.code, message: failure.message }),
      ...sendTo(state.workers.values(), abortMessage(failure)),
      { kind: 'end', status },
    ],
  };
}
