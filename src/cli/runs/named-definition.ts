/** Loads the training definition that a command's `--config` names. */

import { resolve } from 'node:path';
import { loadDefinition, type LoadedDefinition } from '../../api/load-definition.js';
import { definitionCache } from '../environment/environment.js';

/** Returns undefined if none is named. @throws ConfigError if it cannot be loaded */
export async function namedDefinition(config: string | undefined): Promise<LoadedDefinition | undefined> {
  return config === undefined ? undefined : loadDefinition(resolve(config), definitionCache());
}
