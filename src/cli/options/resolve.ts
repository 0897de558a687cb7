/**
 * From layers of partial configs to one frozen config. Owns precedence (defaults < file < environment < flags) and the
 * message that lists every bad field at once, each with its value and the place that it came from.
 */

import type { z } from 'zod';
import { ConfigError } from '../../shared/errors.js';
import { contradictions } from './contradictions.js';
import {
  resolvedConfigSchema,
  runConfigSchema,
  type ResolvedConfig,
  type RunConfig,
} from '../../shared/config/run-config.js';

/** Where some of the fields come from: a file, the environment, the command line. */
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

/** One line an issue: `batchSize: expected ..., got "x" (from --batch-size). ` */
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
        const what = key === undefined ? issue.message : 'no such field';
        return `  ${field}: ${what}; got ${got.slice(0, 80)}${sourceOf(String(path[0] ?? ''))}`;
      });
    })
    .join('\n');
}

/**
 * Merges the layers, later over earlier, and checks the result.
 * @throws ConfigError naming every bad field, its value and its source.
 */
export function mergeConfig(layers: readonly ConfigLayer[]): RunConfig {
  const merged: Record<string, unknown> = {};
  const sources = new Map<string, string>();
  for (const layer of layers) {
    for (const [field, value] of Object.entries(layer.values)) {
      if (value === undefined) continue;
      merged[field] = value;
      sources.set(field, layer.source);
    }
  }
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

/** What the machine has, as far as a config depends on it. */
export interface Machine {
  /** Processors that this process may use. */
  readonly cores: number;
  /** Numbers of the GPUs that workers may be given; empty on a CPU machine. */
  readonly gpus: readonly number[];
}

/**
 * Answers what the config left open: workers = GPUs or 2; shards = workers; threads = cores / shards, at least one.
 * Threads follow the shards, not the workers, because the number of threads is part of what fixes the bits: a run of 2
 * shards must compute alike on one worker and on two.
 */
export function resolveConfig(config: RunConfig, machine: Machine): ResolvedConfig {
  const workers = config.workers ?? (machine.gpus.length > 0 ? machine.gpus.length : 2);
  const shards = config.shards ?? workers;
  const shared = config.threads ?? Math.max(1, Math.floor(machine.cores / shards));
  // The other engines have no threads; with `auto` it is not known yet.
  const threads = config.engine === 'wasm' || config.engine === 'js' ? 1 : shared;
  return Object.freeze(resolvedConfigSchema.parse({ ...config, workers, shards, threads }));
}

/** The GPUs that `devices` asks for, out of those present. @throws ConfigError for one that isn't there. */
export function chooseGpus(devices: string, present: readonly number[]): readonly number[] {
  if (devices === 'cpu') return [];
  if (devices === 'auto') return present;
  const wanted = devices.split(',').map(Number);
  const absent = wanted.filter((gpu) => !present.includes(gpu));
  if (absent.length > 0) {
    const have = present.length === 0 ? 'none' : present.join(', ');
    throw new ConfigError(
      `devices: GPU ${absent.join(', ')} is not present; this machine has ${have}. ` +
        'Use --devices auto or --devices cpu, or see `nvidia-smi -L`.',
      { devices, have },
    );
  }
  if (new Set(wanted).size !== wanted.length) {
    throw new ConfigError(`devices: expected distinct GPU numbers, got "${devices}". Name each GPU once.`);
  }
  return wanted;
}
