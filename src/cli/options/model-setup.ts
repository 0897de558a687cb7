/** Reads the configuration and the training definition for a command that builds a model without training it. */

import { resolve } from 'node:path';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { definitionCache } from '../environment/environment.js';
import { machine } from '../environment/machine.js';
import { environmentLayers } from './config-layers.js';
import { definitionPath } from './definition-path.js';
import { mergeConfig, resolveConfig } from './resolve.js';

/** @throws ConfigError */
export async function readModelSetup(flags: {
  readonly config?: string;
  readonly engine: string;
}): Promise<{ readonly config: ResolvedConfig; readonly definition: LoadedDefinition }> {
  const definition = await loadDefinition(definitionPath(flags.config), definitionCache());
  const merged = mergeConfig([
    { source: definition.path, values: definition.values },
    ...environmentLayers(),
    { source: '--engine', values: { engine: flags.engine } },
  ]);
  const { cores, present } = machine('cpu');
  const data = merged.data === null ? null : resolve(merged.data);
  return { config: resolveConfig({ ...merged, data }, { cores, gpus: present }), definition };
}
