/** Writes `ledger.ndjson` in the run's folder, in the coordinator's process. */

import { join } from 'node:path';
import { AppendingFile, type Gap } from '../../shared/files/appending-file.js';
import { ledgerName, type LedgerEntry, type LedgerLine } from '../../shared/ledger/entries.js';

export interface LedgerFile {
  record(entries: readonly LedgerEntry[]): void;
  close(): Promise<void>;
}

const lineOf = (line: LedgerLine): string => `${JSON.stringify(line)}\n`;

const gapLine = ({ records, fromMs }: Gap): string => lineOf({ type: 'gap', entries: records, fromMs });

/** The file is created with the first entry, so a run without `--audit` has none. @param warn receives a message if it cannot be written */
export function openLedgerFile(
  out: string | null,
  resumed: boolean,
  warn: (message: string) => void,
): LedgerFile {
  let file: AppendingFile | undefined;
  return {
    record: (entries) => {
      if (out === null) return;
      file ??= new AppendingFile({
        path: join(out, ledgerName),
        name: 'Ledger',
        format: { incompleteEnd: 'terminate', gap: gapLine },
        mode: resumed ? 'append' : 'new',
        notify: warn,
      });
      // Without the parameters, no other entry can be read.
      for (const entry of entries) file.append(lineOf(entry), { essential: entry.type === 'parameters' });
    },
    close: () => file?.close() ?? Promise.resolve(),
  };
}
