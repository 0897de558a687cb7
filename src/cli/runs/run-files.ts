/** The files of a run that the coordinator's process writes besides its events: the ledger and the time line. */

import type { CoordinatorOptions } from '../../coordinator/coordinator.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { openLedgerFile } from '../reporters/ledger-file.js';
import { openTraceFile } from '../reporters/trace-file.js';

export interface RunFiles {
  /** What the coordinator hands its findings to. */
  readonly sinks: Pick<CoordinatorOptions, 'emit' | 'record' | 'trace'>;
  close(): Promise<void>;
}

/** @throws ConfigError when one can't be written. */
export function openRunFiles(
  { out, trace, resumed }: { out: string | null; trace: string | null; resumed: boolean },
  emit: (event: RunEvent) => void,
): RunFiles {
  const timeline = openTraceFile(trace);
  const ledger = openLedgerFile(out, resumed);
  return {
    sinks: {
      emit: (event) => {
        // Before the last word, so that `done` and `error` stay the last.
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
