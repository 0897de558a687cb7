/** Writes `ledger.ndjson` in the run's folder, in the coordinator's process. */

import { createWriteStream, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { ledgerName, type LedgerEntry } from '../../shared/ledger/entries.js';

export interface LedgerFile {
  record(entries: readonly LedgerEntry[]): void;
  close(): Promise<void>;
}

/** The file is created with the first entry, so a run without `--audit` has none. A full disk ends the ledger, not the training. */
export function openLedgerFile(out: string | null, resumed: boolean): LedgerFile {
  let stream: WriteStream | undefined;
  let broken = false;
  const open = (folder: string): WriteStream => {
    const made = createWriteStream(join(folder, ledgerName), { flags: resumed ? 'a' : 'w' });
    made.on('error', (error) => {
      if (!broken) process.stderr.write(`The ledger in ${folder} stops: ${error.message}\n`);
      broken = true;
    });
    return made;
  };
  return {
    record: (entries) => {
      if (out === null || broken) return;
      stream ??= open(out);
      stream.write(entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    },
    close: () => new Promise((done) => (stream && !broken ? stream.end(done) : done())),
  };
}
