/** The files that the coordinator's process writes besides the event log: the ledger and the timeline. */

import type { CoordinatorOptions } from '../../coordinator/coordinator.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { openLedgerFile, type LedgerMode } from '../reporters/ledger-file.js';
import { openTraceFile } from '../reporters/trace-file.js';

export interface RunFiles {
  /** The coordinator's outputs. */
  readonly sinks: Pick<CoordinatorOptions, 'emit' | 'record' | 'trace'>;
  close(): Promise<void>;
}

/** @throws ConfigError if a file cannot be written */
export async function openRunFiles(
  { out, trace, mode }: { out: string | null; trace: string | null; mode: LedgerMode },
  emit: (event: RunEvent) => void,
): Promise<RunFiles> {
  let isOver = false;
  const warn = (message: string): void => {
    // `done` or `error` stays the last event.
    if (isOver) process.stderr.write(`Warning: ${message}\n`);
    else emit({ event: 'warning', message });
  };
  const timeline = openTraceFile(trace, mode !== 'new', warn);
  const ledger = await openLedgerFile(out, mode, warn);
  return {
    sinks: {
      emit: (event) => {
        const isLast = event.event === 'done' || event.event === 'error';
        const summary = isLast ? timeline.summary() : undefined;
        if (summary) emit(summary);
        if (isLast) isOver = true;
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
