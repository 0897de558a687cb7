/** Reads a run's ledger from disk. Hostile until parsed: a line at a time, each bounded and checked. */

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { ConfigError, DataError, OperationalError, systemCode } from '../../shared/errors.js';
import { ledgerEntrySchema, ledgerName, type LedgerEntry } from '../../shared/ledger/entries.js';

const longestLine = 4 * 2 ** 20;

export interface ShardRecord {
  readonly loss: number;
  /** 16 hex digits a parameter. */
  readonly gradients: string;
}

export interface StepRecord {
  readonly shards: Map<number, ShardRecord>;
  /** By rank: 16 hex digits a parameter, then those of the statistics. */
  readonly weights: Map<number, string>;
}

export interface RunLedger {
  readonly directory: string;
  readonly parameters: readonly string[];
  /** Those that every worker's entries are there of: a worker that dies takes its last few steps' with it. */
  readonly steps: ReadonlyMap<number, StepRecord>;
  readonly lastStep: number;
}

/**
 * @throws ConfigError when there is none.
 * @throws DataError when a line is not an entry, or contradicts an earlier one. A torn last line is left out.
 */
export async function readLedger(directory: string): Promise<RunLedger> {
  const file = join(directory, ledgerName);
  const steps = new Map<number, StepRecord>();
  let parameters: readonly string[] | undefined;
  let workers = 1;
  let pending: { entry: LedgerEntry | DataError; line: number } | undefined;
  const take = (entry: LedgerEntry, line: number): void => {
    if (entry.type === 'parameters') {
      if (parameters && parameters.join() !== entry.names.join())
        throw new DataError(`Ledger ${file}, line ${line}: expected the parameters of line 1, got others.`);
      parameters = entry.names;
      workers = entry.workers;
      return;
    }
    const step = steps.get(entry.step) ?? { shards: new Map(), weights: new Map() };
    steps.set(entry.step, step);
    const count = parameters?.length ?? 0;
    const [hashes, expected] = entry.type === 'shard' ? [entry.gradients, count] : [entry.hash, count + 1];
    if (hashes.length !== 16 * expected)
      throw new DataError(
        `Ledger ${file}, line ${line}: expected ${expected} hashes, got ${hashes.length / 16}.`,
      );
    if (entry.type === 'shard') step.shards.set(entry.shard, { loss: entry.loss, gradients: hashes });
    else step.weights.set(entry.rank, hashes);
  };
  try {
    const lines = createInterface({ input: Readable.from(chunksOf(file)), crlfDelay: Infinity });
    let line = 0;
    for await (const text of lines) {
      // Only the last line may be torn: a broken one is an error as soon as another follows.
      if (pending?.entry instanceof DataError) throw pending.entry;
      if (pending) take(pending.entry, pending.line);
      pending = { entry: parse(text, file, ++line), line };
    }
  } catch (cause) {
    if (cause instanceof OperationalError) throw cause;
    throw new ConfigError(
      `Ledger ${file} can't be read (${systemCode(cause) ?? String(cause)}). Train with --audit to have one.`,
      { file },
      cause,
    );
  }
  if (pending && !(pending.entry instanceof DataError)) take(pending.entry, pending.line);
  if (!parameters) throw new DataError(`Ledger ${file}: expected entries, got none.`);
  let lastStep = 0;
  for (const [step, { weights }] of steps) {
    if (weights.size < workers) steps.delete(step);
    else lastStep = Math.max(lastStep, step);
  }
  return { directory, parameters, steps, lastStep };
}

/** Refuses an endless line before it is held in memory. */
async function* chunksOf(file: string): AsyncGenerator<string> {
  let since = 0;
  for await (const chunk of createReadStream(file, 'utf8') as AsyncIterable<string>) {
    const last = chunk.lastIndexOf('\n');
    since = last < 0 ? since + chunk.length : chunk.length - last;
    if (since > longestLine)
      throw new DataError(
        `Ledger ${file}: expected lines of at most ${longestLine} characters, got a longer one.`,
      );
    yield chunk;
  }
}

function parse(text: string, file: string, line: number): LedgerEntry | DataError {
  const wrong = (what: string): DataError =>
    new DataError(`Ledger ${file}, line ${line}: expected an entry, got ${what}.`, { file, line });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return wrong('other text');
  }
  const parsed = ledgerEntrySchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return wrong(`"${issue?.path.join('.') ?? ''}" that ${issue?.message ?? 'is wrong'}`);
}
