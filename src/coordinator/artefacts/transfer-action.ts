/** The actions that the artefact store performs. Types only. */

import type { MessageOf, WorkerMessage } from '../../shared/protocol/messages.js';
import type { ConnectionId } from '../../shared/transport/transport.js';

export type TransferMessage = MessageOf<WorkerMessage, 'offer' | 'want' | 'piece' | 'withdraw'>;

export type TransferAction =
  /** A message of a transfer into the run's folder. The number of the model's weights bounds the size. */
  | {
      readonly kind: 'receive';
      readonly from: ConnectionId;
      readonly message: TransferMessage;
      readonly parameterCount: number;
    }
  /** Offer the checkpoint at `path` to a worker; null: there is none to offer. */
  | {
      readonly kind: 'serve';
      readonly to: ConnectionId;
      readonly transfer: string;
      readonly path: string | null;
    };
