/** `lockstep diff RUN_A RUN_B`: finds the first difference between two audited runs. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareLedgers, type Difference } from '../ledger/compare-ledgers.js';
import { readLedger } from '../ledger/read-ledger.js';
import { resolvedConfigSchema, type ResolvedConfig } from '../../shared/config/run-config.js';
import { weightDifferences } from '../../shared/config/weight-influence.js';
import { exitStatus } from '../../shared/exit-status.js';

export interface DiffFlags {
  readonly json?: boolean;
}

/** Resolves with the exit status: 0 if the steps that both runs have are identical, 1 if they differ. @throws ConfigError, DataError */
export async function diff(a: string, b: string, { json = false }: DiffFlags): Promise<number> {
  const [left, right] = await Promise.all([readLedger(a), readLedger(b)]);
  const config = await differingConfig(a, b);
  const { steps, missing, difference } = compareLedgers(left, right);
  if (json) {
    const last = { a: left.lastStep, b: right.lastStep };
    const unwritten = { a: left.unwritten, b: right.unwritten };
    process.stdout.write(
      `${JSON.stringify({ steps, missing, unwritten, last, config, difference: difference ?? null })}\n`,
    );
  } else {
    const lines = config.map((line) => `Configs differ: ${line}`);
    lines.push(difference ? describe(difference) : `Identical over ${steps} steps.`);
    if (missing > 0)
      lines.push(`Not compared: the entries of ${missing} shards, which a worker lost when it ended.`);
    for (const { directory, unwritten } of [left, right])
      if (unwritten > 0) lines.push(`${directory} lacks ${unwritten} entries, which could not be written.`);
    if (left.lastStep !== right.lastStep)
      lines.push(`${a} ends after step ${left.lastStep}, ${b} after step ${right.lastStep}.`);
    process.stdout.write(`${lines.join('\n')}\n`);
  }
  return difference || steps === 0 ? exitStatus.failed : exitStatus.done;
}

function describe({ step, kind, shard, parameter, others = 0, a, b }: Difference): string {
  const values = `${a} and ${b}`;
  const more = others > 0 ? `, and of ${others} more parameter${others === 1 ? '' : 's'}` : '';
  switch (kind) {
    case 'parameters':
      return `The models differ: parameters ${a}; and ${b}.`;
    case 'shards':
      return `First difference: step ${step}, the shards (${values}). Compare runs with the same --shards.`;
    case 'loss':
      return `First difference: step ${step}, shard ${shard}, loss (${values}). The forward pass differs: data, weights before the first step, Dropout or statistics.`;
    case 'gradient':
      return `First difference: step ${step}, shard ${shard}, gradient of ${parameter} (${values})${more}.`;
    case 'weights':
      return `First difference: step ${step}, ${parameter} after the step (${values})${more}, with equal gradients.`;
    case 'statistics':
      return `First difference: step ${step}, BatchNorm's statistics after the step (${values}), with equal gradients.`;
    case 'workers':
      return `Workers of one run differ after step ${step}, in ${parameter}: ${values}.`;
  }
}

/** Returns lines such as `seed: 1 and 2` for the fields that influence the weights; none if a configuration cannot be read. */
async function differingConfig(a: string, b: string): Promise<string[]> {
  const [left, right] = await Promise.all([readConfig(a), readConfig(b)]);
  if (!left || !right) return [];
  return weightDifferences(left, right).map(
    (field) => `${field}: ${JSON.stringify(left[field])} and ${JSON.stringify(right[field])}`,
  );
}

async function readConfig(directory: string): Promise<ResolvedConfig | undefined> {
  try {
    const text = await readFile(join(directory, 'config.json'), 'utf8');
    return resolvedConfigSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
