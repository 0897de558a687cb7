import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openEventLog } from '../../src/cli/reporters/event-log.js';
import { openLedgerFile, type LedgerMode } from '../../src/cli/reporters/ledger-file.js';
import { openTraceFile } from '../../src/cli/reporters/trace-file.js';
import type { LedgerEntry } from '../../src/shared/ledger/entries.js';
import { temporaryFolder } from '../support/lockstep.js';

const warn = (message: string): never => {
  throw new Error(message);
};
const hash = (digit: string): string => digit.repeat(16);
const shard = (step: number, index: number, digit: string): LedgerEntry => ({
  type: 'shard',
  step,
  shard: index,
  loss: 1,
  gradients: hash(digit),
});
const weights = (step: number, digit: string): LedgerEntry => ({
  type: 'weights',
  step,
  rank: 0,
  hash: hash(digit),
});

/** The beginning of an entry that a worker repeats. */
const tornLine = '{"type":"shard","step":2,"shard":0,"loss":1,"grad';

/** The ledger after entries of a first coordinator, a torn line, and entries of its successor. */
async function ledgerAfter(
  mode: LedgerMode,
  before: LedgerEntry[],
  after: LedgerEntry[],
): Promise<unknown[]> {
  const out = await temporaryFolder();
  const file = join(out, 'ledger.ndjson');
  await writeFile(file, `${before.map((entry) => `${JSON.stringify(entry)}\n`).join('')}${tornLine}`);
  const ledger = await openLedgerFile(out, mode, warn);
  ledger.record(after);
  await ledger.close();
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  // The torn line stays, and a gap follows it.
  const torn = lines.findIndex((line) => line === tornLine);
  expect(JSON.parse(lines[torn + 1] ?? '')).toMatchObject({ type: 'gap' });
  lines.splice(torn, 2);
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe('the files of a run that a successor continues', () => {
  it('have each entry of the ledger once after a takeover, whatever the workers repeat', async () => {
    const before = [shard(1, 0, 'a'), shard(1, 1, 'b'), weights(1, 'c')];
    const repeated = [shard(1, 1, 'b'), weights(1, 'c'), shard(2, 0, 'd'), weights(2, 'e')];
    expect(await ledgerAfter('takeover', before, repeated)).toEqual([
      ...before,
      shard(2, 0, 'd'),
      weights(2, 'e'),
    ]);
  });

  it('have the new entries of the ledger after a resume, in which they may differ', async () => {
    const before = [shard(1, 0, 'a'), weights(1, 'c')];
    const again = [shard(1, 0, 'f')];
    expect(await ledgerAfter('resume', before, again)).toEqual([...before, ...again]);
  });

  it('keep the events of the log, whatever its last line is', async () => {
    const out = await temporaryFolder();
    const file = join(out, 'events.ndjson');
    const event = { event: 'warning', message: 'later', timeMs: 2 } as const;
    const before = '{"event":"step","step":1}\n{"event":"step","st';
    await writeFile(file, before);
    const log = openEventLog(out, 'append', warn);
    log.emit(event);
    await log.close();
    const after = await readFile(file, 'utf8');
    expect(after.startsWith(`${before}\n`)).toBe(true);
    expect(after.endsWith(`\n${JSON.stringify(event)}\n`)).toBe(true);
  });

  it('keep the timeline, and have another one beside it', async () => {
    const file = join(await temporaryFolder(), 'trace.json');
    for (const expected of ['trace.json', 'trace.2.json', 'trace.3.json']) {
      const trace = openTraceFile(file, true, warn);
      trace.record(0, []);
      await trace.close();
      expect(await readFile(join(file, '..', expected), 'utf8')).toMatch(/^\[\n[^]*\n\]\n$/);
    }
    await openTraceFile(file, false, warn).close();
    expect(await readFile(file, 'utf8')).toBe('[\n\n]\n');
  });
});
