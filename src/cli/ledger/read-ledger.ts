/** Reads a run's ledger from disk. The file is untrusted: it is read line by line, and each line is limited and validated. */

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { ConfigError, DataError, OperationalError, systemCode } from '../../shared/errors.js';
import { ledgerLineSchema, ledgerName, type LedgerLine } from '../../shared/ledger/entries.js';

const longestLine = 4 * 2 ** 20;

export interface ShardRecord {
  readonly loss: number;
  /** 16 hex digits per parameter. */
  readonly gradients: string;
}

export interface StepRecord {
  readonly shards: Map<number, ShardRecord>;
  /** By rank: 16 hex digits per parameter, then 16 of the statistics. */
  readonly weights: Map<number, string>;
}

export interface RunLedger {
  readonly directory: string;
  readonly parameters: readonly string[];
  /** Number of shards of a batch. */
  readonly shardCount: number;
  /** Steps for which the entries of every worker or of every shard are present. A killed worker loses its last few entries. */
  readonly steps: ReadonlyMap<number, StepRecord>;
  readonly lastStep: number;
  /** Number of entries that the run could not write. */
  readonly unwritten: number;
}

/**
 * Reads all complete steps. An incomplete line is ignored if it is the last one, or if a gap follows it.
 * @throws ConfigError if there is no ledger
 * @throws DataError if a line is not an entry, or contradicts an earlier one
 */
export async function readLedger(directory: string): Promise<RunLedger> {
  const file = join(directory, ledgerName);
  const content = new LedgerContent(file);
  /** Lines that are not entries: an error, unless a gap follows them or they are a single last line. */
  let invalid: { readonly first: DataError; readonly count: number } | undefined;
  try {
    const lines = createInterface({ input: Readable.from(chunksOf(file)), crlfDelay: Infinity });
    let line = 0;
    for await (const text of lines) {
      const parsed = parse(text, file, ++line);
      if (parsed instanceof DataError) {
        invalid = { first: invalid?.first ?? parsed, count: (invalid?.count ?? 0) + 1 };
        continue;
      }
      if (invalid && parsed.type !== 'gap') throw invalid.first;
      invalid = undefined;
      content.add(parsed, line);
    }
    if (invalid && invalid.count > 1) throw invalid.first;
  } catch (cause) {
    if (cause instanceof OperationalError) throw cause;
    throw new ConfigError(
      `Ledger ${file} can't be read (${systemCode(cause) ?? String(cause)}). Train with --audit to have one.`,
      { file },
      cause,
    );
  }
  const { parameters, steps, unwritten } = content;
  if (!parameters) throw new DataError(`Ledger ${file}: expected entries, got none.`);
  const { shardCount, lastStep } = omitIncomplete(steps, content.workers);
  return { directory, parameters, shardCount, steps, lastStep, unwritten };
}

/** The entries of a ledger, by step. */
class LedgerContent {
  readonly #file: string;
  readonly steps = new Map<number, StepRecord>();
  parameters: readonly string[] | undefined;
  workers = 1;
  unwritten = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws DataError if the line contradicts an earlier one */
  add(entry: LedgerLine, line: number): void {
    if (entry.type === 'gap') {
      this.unwritten += entry.entries;
      return;
    }
    if (entry.type === 'parameters') {
      if (this.parameters && this.parameters.join() !== entry.names.join())
        throw new DataError(
          `Ledger ${this.#file}, line ${line}: expected the parameters of line 1, got others.`,
        );
      this.parameters = entry.names;
      this.workers = entry.workers;
      return;
    }
    const step = this.steps.get(entry.step) ?? { shards: new Map(), weights: new Map() };
    this.steps.set(entry.step, step);
    const count = this.parameters?.length ?? 0;
    const [hashes, expected] = entry.type === 'shard' ? [entry.gradients, count] : [entry.hash, count + 1];
    if (hashes.length !== 16 * expected)
      throw new DataError(
        `Ledger ${this.#file}, line ${line}: expected ${expected} hashes, got ${hashes.length / 16}.`,
      );
    if (entry.type === 'shard') step.shards.set(entry.shard, { loss: entry.loss, gradients: hashes });
    else step.weights.set(entry.rank, hashes);
  }
}

/** Removes the steps of which entries of some workers and some shards are missing. */
function omitIncomplete(
  steps: Map<number, StepRecord>,
  workers: number,
): Pick<RunLedger, 'shardCount' | 'lastStep'> {
  let lastStep = 0;
  let shardCount = 0;
  for (const { shards } of steps.values())
    for (const shard of shards.keys()) shardCount = Math.max(shardCount, shard + 1);
  for (const [step, { weights, shards }] of steps) {
    const isComplete =
      weights.size >= workers || (shardCount > 0 && shards.size === shardCount && weights.size > 0);
    if (!isComplete) steps.delete(step);
    else lastStep = Math.max(lastStep, step);
  }
  return { shardCount, lastStep };
}

/** Rejects a line that is too long before it is in memory. */
async function* chunksOf(file: string): AsyncGenerator<string> {
  let lineLength = 0;
  for await (const chunk of createReadStream(file, 'utf8') as AsyncIterable<string>) {
    const last = chunk.lastIndexOf('\n');
    lineLength = last < 0 ? lineLength + chunk.length : chunk.length - last;
    if (lineLength > longestLine)
      throw new DataError(
        `Ledger ${file}: expected lines of at most ${longestLine} characters, got a longer one.`,
      );
    yield chunk;
  }
}

function parse(text: string, file: string, line: number): LedgerLine | DataError {
  const invalid = (got: string): DataError =>
    new DataError(`Ledger ${file}, line ${line}: expected an entry, got ${got}.`, { file, line });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return invalid('other text');
  }
  const parsed = ledgerLineSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  return invalid(`"${issue?.path.join('.') ?? ''}" that ${issue?.message ?? 'is wrong'}`);
}
