/** Finds the training definition that a command uses. */

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The MNIST recipe, which is trained if there is no other definition. */
export const defaultDefinition = fileURLToPath(
  new URL('../../../examples/mnist/lockstep.config.ts', import.meta.url),
);

/** Returns the path that was given, else the definition in the working folder, else the MNIST recipe. */
export function definitionPath(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  for (const name of ['lockstep.config.ts', 'lockstep.config.js']) {
    if (existsSync(name)) return resolve(name);
  }
  return defaultDefinition;
}
