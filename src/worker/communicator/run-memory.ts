/**
 * What a worker would have to say again to the successor of its coordinator: who it is, and its last reports, since some may have
 * died with the coordinator that got them.
 */

import type { MessageOf, WorkerMessage } from '../../shared/protocol/messages.js';

type Report = MessageOf<WorkerMessage, 'committed' | 'evaluated' | 'checkpointed'>;

/** Steps and evaluations: more than pass while a coordinator is started again. */
const kept = 4_096;

export class RunMemory {
  join: MessageOf<WorkerMessage, 'join'> | undefined;
  ready: MessageOf<WorkerMessage, 'ready'> | undefined;
  reports: Report[] = [];
  /** Where it said that it stands after its last generation. */
  lastCommitted: MessageOf<WorkerMessage, 'last_committed'> | undefined;

  note(message: WorkerMessage): void {
    if (message.type === 'join') this.join = message;
    if (message.type === 'ready') this.ready = message;
    if (message.type === 'last_committed') this.lastCommitted = message;
    if (message.type !== 'committed' && message.type !== 'evaluated' && message.type !== 'checkpointed')
      return;
    this.reports.push(message);
    if (this.reports.length > 2 * kept) this.reports = this.reports.slice(-kept);
  }
}
