/** Writes `ledger.ndjson` in the run's folder, in the coordinator's process. */

import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { AppendingFile, type Gap } from '../../shared/files/appending-file.js';
import { ledgerName, type LedgerEntry, type LedgerLine } from '../../shared/ledger/entries.js';

export interface LedgerFile {
  record(entries: readonly LedgerEntry[]): void;
  close(): Promise<void>;
}

const lineOf = (line: LedgerLine): string => `${JSON.stringify(line)}\n`;

const gapLine = ({ records, fromMs }: Gap): string => lineOf({ type: 'gap', entries: records, fromMs });

/** `new`: a new file. `resume`: entries are appended. `takeover`: as `resume`, without those that are in the file already. */
export type LedgerMode = 'new' | 'resume' | 'takeover';

/** The end of the file in which repeated entries are looked for. A worker repeats fewer bytes to a new coordinator than this. */
const searchedBytes = 256 * 2 ** 20;

/**
 * The file is created with the first entry, so a run without `--audit` has none.
 * @param warn receives a message if it cannot be written
 * @throws the file system's error if the present file can't be read in a takeover
 */
export async function openLedgerFile(
  out: string | null,
  mode: LedgerMode,
  warn: (message: string) => void,
): Promise<LedgerFile> {
  const path = out === null ? null : join(out, ledgerName);
  const present = path !== null && mode === 'takeover' ? await entriesIn(path) : new Set<string>();
  let file: AppendingFile | undefined;
  return {
    record: (entries) => {
      if (path === null) return;
      file ??= new AppendingFile({
        path,
        name: 'Ledger',
        format: { incompleteEnd: 'terminate', gap: gapLine },
        mode: mode === 'new' ? 'new' : 'append',
        notify: warn,
      });
      for (const entry of entries) {
        // Without the parameters, no other entry can be read.
        if (!present.has(keyOf(entry)))
          file.append(lineOf(entry), { essential: entry.type === 'parameters' });
      }
    },
    close: () => file?.close() ?? Promise.resolve(),
  };
}

/** Returns the keys of the entries at the end of a file; none if there is no file. */
async function entriesIn(file: string): Promise<Set<string>> {
  const keys = new Set<string>();
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === undefined) return keys;
  const input = createReadStream(file, { start: Math.max(0, size - searchedBytes) });
  for await (const line of createInterface({ input })) {
    // The hashes make up almost all of a line, and are not parsed. The line that a killed process was writing has no end.
    const [, type, step, index] =
      /^\{"type":"(shard|weights)","step":(\d+),"(?:shard|rank)":(\d+),/.exec(line) ?? [];
    if (type !== undefined && line.endsWith('}')) keys.add(`${type} ${step} ${index}`);
  }
  return keys;
}

/** Entries about the same shard or worker in the same step have the same key. */
function keyOf(entry: LedgerEntry): string {
  switch (entry.type) {
    case 'parameters':
      return entry.type;
    case 'shard':
      return `${entry.type} ${entry.step} ${entry.shard}`;
    case 'weights':
      return `${entry.type} ${entry.step} ${entry.rank}`;
  }
}
