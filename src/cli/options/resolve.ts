/**
 * Merges layers of partial configurations into one frozen configuration, later layers over earlier ones. An error lists every
 * invalid field at once, each with its value and its source.
 */

import type { z } from 'zod';
import {
  resolvedConfigSchema,
  runConfigSchema,
  type ResolvedConfig,
  type RunConfig,
} from '../../shared/config/run-config.js';
import { applyAssignments, assignmentsOf } from '../../shared/config/assignments.js';
import { isRecord } from '../../shared/config/is-record.js';
import { withDefaultsOfTfjs } from '../../shared/config/optimizer-config.js';
import { hasThreads } from '../../shared/config/engine-kinds.js';
import { ConfigError } from '../../shared/errors.js';
import { suggestion } from '../../shared/config/suggestion.js';
import { contradictions } from './contradictions.js';

/** Values of some fields from one source: a file, an environment variable, an option. */
export interface ConfigLayer {
  readonly source: string;
  readonly values: Readonly<Record<string, unknown>>;
}

function valueAt(values: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    values,
  );
}

/** Returns one line per issue, e.g. `batchSize: expected ..., got "x" (from --batch-size)`. */
export function describeIssues(
  error: z.ZodError,
  values: unknown,
  sourceOf: (field: string) => string,
): string {
  return error.issues
    .flatMap((issue) => {
      const unknownKeys = issue.code === 'unrecognized_keys' ? issue.keys : [undefined];
      return unknownKeys.map((key) => {
        const path = key === undefined ? issue.path : [...issue.path, key];
        const field = path.map(String).join('.') || 'config';
        const value = valueAt(values, path);
        const got = value === undefined ? 'nothing' : JSON.stringify(value);
        const problem = key === undefined ? issue.message : 'no such field';
        const known = key !== undefined && path.length === 1 ? Object.keys(runConfigSchema.shape) : [];
        const similar = suggestion(String(key), known);
        const remedy = similar === undefined ? '' : `. ${similar}`;
        return `  ${field}: ${problem}; got ${got.slice(0, 80)}${sourceOf(String(path[0] ?? ''))}${remedy}`;
      });
    })
    .join('\n');
}

/**
 * Merges the layers and validates the result.
 * @throws ConfigError naming every invalid field, its value and its source
 */
export function mergeConfig(layers: readonly ConfigLayer[]): RunConfig {
  const { merged, sources } = mergeLayers(layers);
  applyArithmetic(merged);
  const parsed = runConfigSchema.safeParse(merged);
  if (!parsed.success) {
    const list = describeIssues(parsed.error, merged, (field) =>
      sources.has(field) ? ` (from ${sources.get(field) ?? ''})` : '',
    );
    throw new ConfigError(`The configuration is not valid:\n${list}`);
  }
  const list = contradictions(parsed.data);
  if (list.length > 0)
    throw new ConfigError(`The configuration is not valid:\n${list.map((line) => `  ${line}`).join('\n')}`);
  return Object.freeze(parsed.data);
}

/** Later layers replace the fields of earlier ones; the field `set` of a layer replaces parts of them. */
function mergeLayers(layers: readonly ConfigLayer[]): {
  readonly merged: Record<string, unknown>;
  readonly sources: ReadonlyMap<string, string>;
} {
  let merged: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const { source, values } of layers) {
    for (const [field, value] of Object.entries(values)) {
      if (value === undefined || (field === 'set' && isRecord(value))) continue;
      merged[field] = value;
      sources.set(field, source);
    }
    const { set } = values;
    if (!isRecord(set)) continue;
    const before = merged;
    merged = applyAssignments(merged, assignmentsOf(set));
    merged['set'] = { ...(isRecord(before['set']) ? before['set'] : {}), ...set };
    for (const name of Object.keys(set)) {
      const [field = '', part] = name.split('.');
      const inDefault = part !== undefined && before[field] === undefined;
      const remedy = `its default; set the whole field, --set '${field}={...}', to replace it`;
      sources.set(field, `${source} ${name}${inDefault ? `, in ${remedy}` : ''}`);
    }
  }
  return { merged, sources };
}

/** With tfjs's arithmetic, the optimizer has tfjs's defaults and rules. */
function applyArithmetic(merged: Record<string, unknown>): void {
  const { arithmetic, optimizer = { kind: 'adam' } } = merged;
  if (arithmetic === 'tfjs') merged['optimizer'] = withDefaultsOfTfjs(optimizer);
}

/** The hardware, as far as the configuration depends on it. */
export interface Machine {
  /** Number of processors available to this process. */
  readonly cores: number;
  /** Numbers of the GPUs available to workers; empty without GPUs. */
  readonly gpus: readonly number[];
  /** Number of workers of this host that have an adapter of WebGPU of their own; default: 1, which all workers share. */
  readonly adapters?: number;
  /** Number of processors of each worker, if a scheduler gives every worker its own; null or absent: the workers share `cores`. */
  readonly coresPerWorker?: number | null;
}

/**
 * Fills in the numbers that the configuration leaves open: workers = GPUs or 2, see `defaultWorkers`; shards = workers; threads = cores / shards, at
 * least 1, or the cores of a task in a job of several tasks. Threads are derived from the shards and not from the workers because results depend on the number of threads: a run
 * of 2 shards must compute the same on one worker and on two.
 */
export function resolveConfig(config: RunConfig, machine: Machine): ResolvedConfig {
  const workers = config.workers ?? defaultWorkers(config, machine);
  const shards = config.shards ?? workers;
  const share = machine.coresPerWorker ?? Math.max(1, Math.floor(machine.cores / shards));
  const shared = config.threads ?? share;
  const threads = hasThreads(config.engine) ? shared : 1;
  return Object.freeze(resolvedConfigSchema.parse({ ...config, workers, shards, threads }));
}

function defaultWorkers({ engine }: RunConfig, { gpus, adapters = 1 }: Machine): number {
  if (engine === 'webgpu') return adapters;
  return gpus.length > 0 ? gpus.length : 2;
}

/** Returns the GPUs that `devices` selects. @throws ConfigError if one of them is not present */
export function chooseGpus(devices: string, present: readonly number[]): readonly number[] {
  if (devices === 'cpu') return [];
  if (devices === 'auto') return present;
  const selected = devices.split(',').map(Number);
  const absent = selected.filter((gpu) => !present.includes(gpu));
  if (absent.length > 0) {
    const have = present.length === 0 ? 'none' : present.join(', ');
    throw new ConfigError(
      `devices: GPU ${absent.join(', ')} is not present; this machine has ${have}. ` +
        'Use --devices auto or --devices cpu, or see `nvidia-smi -L`.',
      { devices, have },
    );
  }
  if (new Set(selected).size !== selected.length) {
    throw new ConfigError(`devices: expected distinct GPU numbers, got "${devices}". Name each GPU once.`);
  }
  return selected;
}
