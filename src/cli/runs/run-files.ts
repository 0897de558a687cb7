/** The files that the coordinator's process writes besides the event log: the ledger and the timeline. */

import type { CoordinatorOptions } from '../../coordinator/coordinator.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { openLedgerFile } from '../reporters/ledger-file.js';
import { openTraceFile } from '../reporters/trace-file.js';

export interface RunFiles {
  /** The coordinator's outputs. */
  readonly sinks: Pick<CoordinatorOptions, 'emit' | 'record' | 'trace'>;
  close(): Promise<void>;
}

/** @throws ConfigError if a file cannot be written */
export function openRunFiles(
  { out, trace, resumed }: { out: string | null; trace: string | null; resumed: boolean },
  emit: (event: RunEvent) => void,
): RunFiles {
  const timeline = openTraceFile(trace);
  const ledger = openLedgerFile(out, resumed);
  return {
    sinks: {
      emit: (event) => {
        // Before `done` or `error`, which stays the last event.
        const summary = event.event === 'done' || event.event === 'error' ? timeline.summary() : undefined;
        if (summary) emit(summary);
        emit(event);
      },
      record: (entries) => ledger.record(entries),
      trace: (rank, spans) => timeline.record(rank, spans),
    },
    close: async () => {
      await Promise.all([ledger.close(), timeline.close()]);
    },
  };
}
