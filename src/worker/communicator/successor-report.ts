/**
 * Keeps the messages that a worker sends to a new coordinator: its identity, its membership, its latest reports and the latest entries of
 * the audit ledger. The previous coordinator may have died before it recorded them.
 */

import type { LedgerEntry } from '../../shared/ledger/entries.js';
import type { MessageOf, Plan, WorkerMessage } from '../../shared/protocol/messages.js';

type Report = MessageOf<WorkerMessage, 'committed' | 'evaluated' | 'checkpointed'>;

/**
 * At least this many of the latest reports are kept. The new coordinator warns if a worker
 * has sent more of them meanwhile.
 */
const keptReports = 4_096;
/** Limit for the characters of all hashes in the kept messages of the ledger. The latest message is always kept. */
const keptLedgerCharacters = 8 * 2 ** 20;

type LedgerMessage = MessageOf<WorkerMessage, 'ledger'>;

export class SuccessorReport {
  #join: MessageOf<WorkerMessage, 'join'> | undefined;
  #ready: MessageOf<WorkerMessage, 'ready'> | undefined;
  #reports: Report[] = [];
  #ledger: { readonly message: LedgerMessage; readonly characters: number }[] = [];
  #ledgerCharacters = 0;
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
    if (message.type === 'ledger') this.#keepLedger(message);
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
    const entries = this.#ledger.map(({ message }) => message);
    return [{ type: 'rejoin', runId, ...membership, join, ready }, ...this.#reports, ...entries];
  }

  #keepLedger(message: LedgerMessage): void {
    const characters = message.entries.reduce((sum, entry) => sum + charactersOf(entry), 0);
    this.#ledger.push({ message, characters });
    this.#ledgerCharacters += characters;
    while (this.#ledger.length > 1 && this.#ledgerCharacters > keptLedgerCharacters)
      this.#ledgerCharacters -= this.#ledger.shift()?.characters ?? 0;
  }
}

/** An entry without hashes counts as well, so that the number of messages is bounded. */
function charactersOf(entry: LedgerEntry): number {
  const overhead = 100;
  switch (entry.type) {
    case 'parameters':
      return entry.names.reduce((sum, name) => sum + name.length, overhead);
    case 'shard':
      return entry.gradients.length + overhead;
    case 'weights':
      return entry.hash.length + overhead;
  }
}
