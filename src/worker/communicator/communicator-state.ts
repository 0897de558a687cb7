/** The states of a communicator and the permitted transitions between them; docs/protocol.md explains the table. */

import type { JoinedGeneration } from './joined-generation.js';

export type CommunicatorState =
  /** No generation has been joined, or the last one has ended. */
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly generation: JoinedGeneration }
  /** The last step is done. Peers may close their connections now. Heartbeats continue until the coordinator ends the run. */
  | { readonly kind: 'finished'; readonly generation: JoinedGeneration }
  /** The run cannot continue, and the main thread has been informed. `generation`: the joined generation, if it has not ended. */
  | { readonly kind: 'failed'; readonly generation: JoinedGeneration | undefined }
  /** The coordinator expects no more messages of this worker. */
  | { readonly kind: 'leaving'; readonly generation: JoinedGeneration | undefined; readonly failed: boolean }
  | { readonly kind: 'closed' };

/** The permitted transitions. A change of the other fields of a state is not a transition. */
export const communicatorTransitions: Readonly<
  Record<CommunicatorState['kind'], readonly CommunicatorState['kind'][]>
> = {
  idle: ['running', 'failed', 'leaving', 'closed'],
  running: ['finished', 'idle', 'failed', 'leaving', 'closed'],
  finished: ['idle', 'failed', 'leaving', 'closed'],
  failed: ['leaving', 'closed'],
  leaving: ['closed'],
  closed: [],
};

/** Returns true if a communicator in state `from` may enter state `to`, or is in it already. */
export function permits(from: CommunicatorState['kind'], to: CommunicatorState['kind']): boolean {
  return from === to || communicatorTransitions[from].includes(to);
}
