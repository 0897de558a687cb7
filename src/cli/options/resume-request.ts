/**
 * The configuration that a resumed run starts from: the configuration of the previous run, with the values that the training
 * definition has changed since. The run's folder has a record of the values that the definition had at the previous start. A value of
 * the definition is used only if it differs from this record. Otherwise the previous run's value stays, which may come from an option
 * such as `--epochs 8`.
 */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readDefinitionRecord, type CopyInRun } from '../../api/definition-place.js';
import type { LoadedDefinition } from '../../api/load-definition.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { compareConfigs, type ConfigChange } from '../../shared/config/resume-policy.js';
import {
  compiledFieldsOf,
  runConfigSchema,
  type ConfigField,
  type ResolvedConfig,
} from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import type { DefinitionCopy } from '../runs/definition-copy.js';
import { runOf } from '../runs/resume-checkpoint.js';
import { stateOfFolder } from '../runs/run-folder.js';
import { configName, readRunConfig } from '../runs/saved-run.js';
import type { ConfigLayer } from './resolve.js';
import { withoutSingleProcessTimeouts } from './single-process-config.js';

export interface ResumeRequest {
  readonly layers: readonly ConfigLayer[];
  /** Differences that have no effect, or that can't be compared; for warnings. */
  readonly warnings: readonly string[];
  /** The configuration of a run that is taken over, which does not change. */
  readonly kept?: ResolvedConfig;
}

/** The configuration with which the workers of a run train, and which a takeover keeps. @param run folder of the run */
export async function takeoverRequest(run: string): Promise<ResumeRequest> {
  const kept = await readRunConfig(run);
  return { layers: [{ source: run, values: kept }], warnings: [], kept };
}

/** Returns warnings about options of this command that differ from those of the run that is taken over. */
export function valuesWithoutEffect(kept: ResolvedConfig, requested: ResolvedConfig): string[] {
  const { changes, refusals } = compareConfigs(kept, requested);
  const values = [
    ...changes.map(
      ({ field, before, now }) => `${field} ${JSON.stringify(before)}, not ${JSON.stringify(now)}`,
    ),
    ...refusals,
  ];
  if (kept.trace !== requested.trace)
    values.push(`trace ${JSON.stringify(kept.trace)}, not ${JSON.stringify(requested.trace)}`);
  if (values.length === 0) return [];
  return [
    `The run keeps the options with which its workers train: ${values.join('; ')}. ` +
      'Other options have an effect when the run is resumed from a checkpoint.',
  ];
}

interface DefinitionChanges {
  readonly values: Readonly<Record<string, unknown>>;
  readonly warnings: readonly string[];
}

/** @param copy what the definition consists of at present */
export async function resumeRequest(
  { path, manifest }: FoundCheckpoint,
  definition: LoadedDefinition,
  copy: DefinitionCopy,
): Promise<ResumeRequest> {
  const run = runOf(path);
  const saved = existsSync(join(run, configName)) ? await readRunConfig(run) : manifest.config;
  const record = await readDefinitionRecord(run);
  const changed = changesOf(saved, record, definition);
  // The state is read last, because it needs the whole log.
  const reachedLimit =
    saved.maxSteps !== null &&
    manifest.step >= saved.maxSteps &&
    (await stateOfFolder(run)).kind === 'finished';
  return {
    layers: [
      {
        source: path,
        values: { ...withoutSingleProcessTimeouts(saved), trace: null, allowOtherData: false },
      },
      // Otherwise a finished run could only be continued with another --max-steps.
      ...(reachedLimit ? [{ source: path, values: { maxSteps: null } }] : []),
      { source: definition.path, values: changed.values },
    ],
    warnings: [...changed.warnings, ...changedSources(record, copy)],
  };
}

function changesOf(
  saved: ResolvedConfig,
  record: CopyInRun['record'] | undefined,
  { path, values: now }: LoadedDefinition,
): DefinitionChanges {
  const values: Record<string, unknown> = {};
  const warnings: string[] = [];
  for (const field of new Set([...Object.keys(record?.values ?? {}), ...Object.keys(now)])) {
    if (!isField(field)) {
      values[field] = now[field];
      continue;
    }
    const next = parsed(field, now[field]);
    const kept: unknown = saved[field];
    if (isDeepStrictEqual(field === 'data' ? absolute(next) : next, kept)) continue;
    const before = record && parsed(field, record.values[field]);
    if (record && isDeepStrictEqual(before, next)) continue;
    const was = field === 'data' && record ? absolute(before, record.workingFolder) : before;
    // The run decides the open numbers (of workers, shards and threads) itself.
    if (record && (was === null || isDeepStrictEqual(was, kept))) {
      values[field] = next;
      continue;
    }
    const reason = record
      ? 'which an option or an environment variable set'
      : "since its folder has no record of the definition's values";
    warnings.push(
      `${field}: ${path} has ${JSON.stringify(now[field] ?? null)}, and the run keeps ${JSON.stringify(kept)}, ${reason}.`,
    );
  }
  return { values, warnings };
}

function isField(name: string): name is ConfigField {
  return name in runConfigSchema.shape;
}

/** Fills in defaults. An invalid value is returned as it is; the configuration's own check reports it. */
function parsed(field: ConfigField, value: unknown): unknown {
  const result = runConfigSchema.shape[field].safeParse(value);
  return result.success ? result.data : value;
}

function absolute(path: unknown, folder = '.'): unknown {
  return typeof path === 'string' ? resolve(folder, path) : path;
}

/** Returns warnings about functions and files that differ, whose effect can't be compared. */
function changedSources(record: CopyInRun['record'] | undefined, { record: now }: DefinitionCopy): string[] {
  if (record === undefined) return [];
  const names = new Set([...Object.keys(record.functions), ...Object.keys(now.functions)]);
  const functions = [...names].filter((name) => record.functions[name] !== now.functions[name]);
  if (functions.length > 0) {
    return [
      `The definition has other functions than in the run: ${functions.join(', ')}. Training continues with the present ones.`,
    ];
  }
  const hashes = new Map(record.files.map(({ name, sha256 }) => [name, sha256]));
  const files = now.files.filter(({ name, sha256 }) => hashes.get(name) !== sha256).map(({ name }) => name);
  const hasFunctions = names.size > 0;
  return hasFunctions && record.files.length > 0 && files.length > 0
    ? [
        `Files of the definition differ from those in the run: ${files.join(', ')}. Its functions may compute other values than before.`,
      ]
    : [];
}

/** Returns the fields that take another value. @throws ConfigError if a field differs that a resumed run must keep */
export function checkResume(
  { path, manifest }: FoundCheckpoint,
  config: ResolvedConfig,
): readonly ConfigChange[] {
  // Timeouts of a run in one process are no settings of the user's.
  const { compiled } = manifest;
  const before = {
    ...config,
    ...withoutSingleProcessTimeouts(manifest.config),
    // The workers know what `model.compile` chooses now, and the coordinator compares it.
    ...(compiled && compiledFieldsOf(config)),
  };
  const { changes, refusals } = compareConfigs(before, config);
  if (refusals.length === 0) return changes;
  throw new ConfigError(
    `--resume: expected the settings of ${path}, got others: ${refusals.join('; ')}. ` +
      'Leave them out, or start a new run (with --fresh in the same folder).',
  );
}
