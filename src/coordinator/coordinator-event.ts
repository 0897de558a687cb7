/** The events that a coordinator handles. Types only. */

import type { WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';

export type CoordinatorEvent =
  | { readonly kind: 'message'; readonly from: ConnectionId; readonly message: WorkerMessage }
  /** A message was not decodable; `count`: messages refused for the same reason. */
  | { readonly kind: 'refused'; readonly from: ConnectionId; readonly reason: string; readonly count: number }
  | { readonly kind: 'disconnected' }
  /** The launcher observed the exit of a worker process. `final`: the launcher will not start another one in its place. */
  | { readonly kind: 'exited'; readonly pid: number; readonly how: string; readonly final: boolean }
  /** `signal` names the cause, for messages and for the exit status. `atOnce`: end the run without a last checkpoint. */
  | { readonly kind: 'interrupt'; readonly signal: string; readonly atOnce: boolean }
  /** A user asks for a checkpoint, after which the training continues. */
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'timer' };
