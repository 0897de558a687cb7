/** Reads everything that a run is started with: its configuration, its training definition and its checkpoint. */

import { resolve } from 'node:path';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import type { ConfigChange } from '../../shared/config/resume-policy.js';
import type { ResolvedConfig, RunConfig } from '../../shared/config/run-config.js';
import { definitionCache } from '../environment/environment.js';
import { machine } from '../environment/machine.js';
import type { OpenRun } from '../runs/open-run.js';
import { checkpointRefOf } from '../runs/resume-checkpoint.js';
import { describeStart, type StartDescription } from '../runs/start-identity.js';
import { environmentLayers, flagLayers } from './config-layers.js';
import { definitionPath, resumedDefinition } from './definition-path.js';
import { chooseGpus, mergeConfig, resolveConfig, type ConfigLayer, type Machine } from './resolve.js';
import {
  checkResume,
  resumeRequest,
  takeoverRequest,
  valuesWithoutEffect,
  type ResumeRequest,
} from './resume-request.js';
import type { TrainFlags } from './train-options.js';

export interface RunSetup extends StartDescription {
  readonly config: ResolvedConfig;
  readonly definition: LoadedDefinition;
  /** GPU numbers for the workers, in order; empty for CPU. */
  readonly gpus: readonly number[];
  /** Folder of the run. */
  readonly out: string;
  readonly resume: FoundCheckpoint | null;
  /** The part of the checkpoint's description that the coordinator needs. */
  readonly checkpoint: ReturnType<typeof checkpointRefOf>;
  /** Fields that differ from the checkpoint's and take effect. */
  readonly changes: readonly ConfigChange[];
  readonly warnings: readonly string[];
}

/**
 * Precedence: defaults < training definition (or checkpoint) < environment < flags. A run that is taken over keeps its configuration,
 * because its workers have it; other values are named in warnings.
 * @param findMachine returns the hardware of this process; default: that of this machine
 * @throws ConfigError
 */
export async function readSetup(
  flags: TrainFlags,
  { out, resume, inherited }: Pick<OpenRun, 'out' | 'resume' | 'inherited'>,
  findMachine: typeof machine = machine,
): Promise<RunSetup> {
  const chosen = resume
    ? await resumedDefinition(flags.config, resume)
    : { path: definitionPath(flags.config), notes: [] };
  const definition = await loadDefinition(chosen.path, definitionCache());
  const { copy, identity } = await describeStart(definition);
  let request: ResumeRequest = {
    layers: [{ source: definition.path, values: definition.values }],
    warnings: [],
  };
  if (inherited !== null) request = await takeoverRequest(out);
  else if (resume !== null) request = await resumeRequest(resume, definition, copy);
  const merged = mergeFlags(flags, request.layers);
  const { present, ...hardware } = findMachine(merged.devices);
  const gpus = chooseGpus(merged.devices, present);
  const requested = resolveConfig(
    { ...merged, data: absolute(merged.data), trace: absolute(merged.trace) },
    { ...hardware, gpus },
  );
  const { kept } = request;
  const config = kept ?? requested;
  const changes = resume === null || kept ? [] : checkResume(resume, config);
  const { incomplete } = copy.record;
  const warnings = [
    ...chosen.notes,
    ...request.warnings,
    ...threadWarnings(config, hardware),
    ...(kept ? valuesWithoutEffect(kept, requested) : []),
    ...(incomplete === null ? [] : [`The run keeps no copy of its definition: ${incomplete}.`]),
  ];
  const checkpoint = checkpointRefOf(resume);
  return { config, definition, gpus, resume, checkpoint, out, changes, warnings, copy, identity };
}

function mergeFlags(flags: TrainFlags, layers: readonly ConfigLayer[]): RunConfig {
  return mergeConfig([
    // The lowest layer, so that any other interval takes precedence.
    ...(flags.tensorboard === undefined
      ? []
      : [{ source: '--tensorboard', values: { histogramEvery: '1epoch' } }]),
    ...layers,
    ...environmentLayers(),
    ...flagLayers({ ...flags }),
    ...(flags.values === undefined
      ? []
      : [{ source: 'train()', values: JSON.parse(flags.values) as ConfigLayer['values'] }]),
  ]);
}

/** In a job, each task has its own cores; more threads than that compete for them, or for those of another task. */
export function threadWarnings(
  { threads }: Pick<ResolvedConfig, 'threads'>,
  { coresPerWorker = null }: Partial<Machine>,
): string[] {
  if (coresPerWorker === null || threads <= coresPerWorker) return [];
  return [
    `Each task computes with ${threads} threads on ${coresPerWorker} of its cores. ` +
      'Give the tasks more cores (srun --cpus-per-task), or start a new run with fewer --threads: their number is part of the bits.',
  ];
}

const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));
