/** Reads everything that a run is started with: its configuration, its training definition and its checkpoint. */

import { resolve } from 'node:path';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import type { ResumeCheckpoint } from '../../coordinator/types.js';
import type { FoundCheckpoint } from '../../shared/checkpoint/read-checkpoint.js';
import { fieldsThatDiffer } from '../../shared/config/resume-policy.js';
import type { ResolvedConfig, RunConfig } from '../../shared/config/run-config.js';
import { ConfigError } from '../../shared/errors.js';
import { definitionCache } from '../environment/environment.js';
import { machine } from '../environment/machine.js';
import type { OpenRun } from '../runs/open-run.js';
import { environmentLayers, flagLayers } from './config-layers.js';
import { definitionPath } from './definition-path.js';
import { chooseGpus, mergeConfig, resolveConfig } from './resolve.js';
import type { TrainFlags } from './train-options.js';

export interface RunSetup {
  readonly config: ResolvedConfig;
  readonly definition: LoadedDefinition;
  /** GPU numbers for the workers, in order; empty for CPU. */
  readonly gpus: readonly number[];
  /** Folder of the run. */
  readonly out: string;
  readonly resume: FoundCheckpoint | null;
}

/**
 * Precedence: defaults < training definition (or checkpoint) < environment < flags.
 * @throws ConfigError
 */
export async function readSetup(
  flags: TrainFlags,
  { out, resume }: Pick<OpenRun, 'out' | 'resume'>,
): Promise<RunSetup> {
  const definition = await loadDefinition(
    definitionPath(flags.config ?? resume?.manifest.definition.path),
    definitionCache(),
  );
  const merged = mergeFlags(flags, definition, resume);
  const { cores, present } = machine(merged.devices);
  const gpus = chooseGpus(merged.devices, present);
  const config = resolveConfig(
    { ...merged, data: absolute(merged.data), trace: absolute(merged.trace) },
    { cores, gpus },
  );
  if (resume !== null) checkResume(resume, config);
  return { config, definition, gpus, resume, out };
}

function mergeFlags(
  flags: TrainFlags,
  definition: LoadedDefinition,
  resume: FoundCheckpoint | null,
): RunConfig {
  return mergeConfig([
    // The lowest layer, so that any other interval takes precedence.
    ...(flags.tensorboard === undefined
      ? []
      : [{ source: '--tensorboard', values: { histogramEvery: '1epoch' } }]),
    resume
      ? { source: resume.path, values: { ...resume.manifest.config, trace: null } }
      : { source: definition.path, values: definition.values },
    ...environmentLayers(),
    ...flagLayers({ ...flags }),
  ]);
}

const absolute = (path: string | null): string | null => (path === null ? null : resolve(path));

/** @throws ConfigError if a field differs that a resumed run must keep */
function checkResume({ path, manifest }: FoundCheckpoint, config: ResolvedConfig): void {
  const changed = fieldsThatDiffer(manifest.config, config);
  if (changed.length === 0) return;
  throw new ConfigError(
    `--resume: expected the settings of ${path}, got others: ${changed.join('; ')}. ` +
      'Leave them out, or start a new run.',
  );
}

/** Returns the part of a checkpoint's description that the coordinator needs. */
export const checkpointRefOf = (found: FoundCheckpoint | null): ResumeCheckpoint | null =>
  found ? { path: found.path, step: found.manifest.step, identity: found.manifest.identity } : null;
