/**
 * Compares the configuration of a checkpoint with that of the run that resumes from it. Each field states in its metadata which
 * changes take effect; the others are refused by name.
 */

import { isDeepStrictEqual } from 'node:util';
import { configFields } from './config-fields.js';
import { isRecord } from './is-record.js';
import type { ResolvedConfig } from './run-config.js';

/** A value that differs, by its path in the configuration, e.g. `optimizer.learningRate`. */
export interface ConfigChange {
  readonly field: string;
  readonly before: unknown;
  readonly now: unknown;
}

export interface ConfigComparison {
  /** Changes that take effect. */
  readonly changes: readonly ConfigChange[];
  /** One line per field whose change is refused, beginning with its name. */
  readonly refusals: readonly string[];
}

/** Fields about one start of a command, which are no part of what is trained. */
const ofOneStart: readonly string[] = ['trace', 'allowOtherData', 'set'];

/**
 * Engines round differently, but the choice of `auto` is only known once workers have joined; the coordinator compares the engines
 * then.
 */
export function compareConfigs(before: ResolvedConfig, now: ResolvedConfig): ConfigComparison {
  const changes: ConfigChange[] = [];
  const refusals: string[] = [];
  for (const { name, resume } of configFields) {
    const [then, next] = [before[name], now[name]];
    if (ofOneStart.includes(name) || isDeepStrictEqual(then, next)) continue;
    const reason = refusalOf(resume, then, next) ?? plateauRefusal(name, before, now);
    if (reason === undefined) changes.push(...differences(name, then, next));
    else refusals.push(`${name}: ${JSON.stringify(then)} then, ${JSON.stringify(next)} now${reason}`);
  }
  return { changes, refusals };
}

/** Returns the end of the line of a refused field; empty for a field that is always fixed. */
function refusalOf(
  policy: (typeof configFields)[number]['resume'],
  before: unknown,
  now: unknown,
): string | undefined {
  if (typeof policy === 'string') return policy === 'fixed' ? '' : undefined;
  const reason = policy.refusal(before, now);
  return reason === undefined ? undefined : ` (${reason})`;
}

/** The schedule `plateau` keeps the reduced rate as state, so that the configured rate has no effect any more. */
function plateauRefusal(name: string, before: ResolvedConfig, now: ResolvedConfig): string | undefined {
  if (name !== 'optimizer' || now.schedule.kind !== 'plateau') return undefined;
  if (before.optimizer.learningRate === now.optimizer.learningRate) return undefined;
  return ' (the schedule plateau keeps its own learning rate, which the configured one would not change)';
}

/** Returns the innermost fields that differ; a list, or an object of another kind, counts as one value. */
function differences(field: string, before: unknown, now: unknown): ConfigChange[] {
  if (!isRecord(before) || !isRecord(now) || before['kind'] !== now['kind']) return [{ field, before, now }];
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((key) => !isDeepStrictEqual(before[key], now[key]))
    .flatMap((key) => differences(`${field}.${key}`, before[key] ?? null, now[key] ?? null));
}

/** Formats a change, e.g. `learning rate 0.01 -> 0.005` or `schedule gamma 0.7 -> 0.5`. */
export function describeChange({ field, before, now }: ConfigChange): string {
  const path = field === 'optimizer.learningRate' ? 'learningRate' : field;
  const words = path.replaceAll('.', ' ').replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  const shown = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  return `${words} ${shown(before)} -> ${shown(now)}`;
}
