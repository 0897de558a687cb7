/**
 * Keeps the messages that a worker sends to a new coordinator: its identity, its membership and its latest reports. The previous
 * coordinator may have died before it recorded these reports.
 */

import type { MessageOf, Plan, WorkerMessage } from '../../shared/protocol/messages.js';

type Report = MessageOf<WorkerMessage, 'committed' | 'evaluated' | 'checkpointed'>;

/**
 * At least this many of the latest reports are kept. It is assumed that a worker sends fewer reports while a coordinator is being replaced.
 */
const keptReports = 4_096;

export class SuccessorReport {
  #join: MessageOf<WorkerMessage, 'join'> | undefined;
  #ready: MessageOf<WorkerMessage, 'ready'> | undefined;
  #reports: Report[] = [];
  #lastCommitted: MessageOf<WorkerMessage, 'last_committed'> | undefined;
  /** This worker's membership by the latest plan. Kept after the generation of that plan has ended. */
  #membership: { generation: number; rank: number; worldSize: number } | undefined;

  /** True if this worker has ever joined a generation. */
  get hasBeenMember(): boolean {
    return this.#membership !== undefined;
  }

  joining({ generation, rank, workers }: Plan): void {
    this.#membership = { generation, rank, worldSize: workers.length };
  }

  sent(message: WorkerMessage): void {
    if (message.type === 'join') this.#join = message;
    if (message.type === 'ready') this.#ready = message;
    if (message.type === 'last_committed') this.#lastCommitted = message;
    if (message.type !== 'committed' && message.type !== 'evaluated' && message.type !== 'checkpointed')
      return;
    this.#reports.push(message);
    if (this.#reports.length > 2 * keptReports) this.#reports = this.#reports.slice(-keptReports);
  }

  /** The last answer to `stop_generation`, if it was for this generation. */
  lastCommitted(generation: number): WorkerMessage | undefined {
    return this.#lastCommitted?.generation === generation ? this.#lastCommitted : undefined;
  }

  /** The answer to `identify`; empty if this worker has not been a member. */
  messages(runId: string): WorkerMessage[] {
    const [join, ready, membership] = [this.#join, this.#ready, this.#membership];
    if (!join || !ready || !membership) return [];
    return [{ type: 'rejoin', runId, ...membership, join, ready }, ...this.#reports];
  }
}
