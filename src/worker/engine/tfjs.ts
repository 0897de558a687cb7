/**
 * Unites the parts of tfjs as the package `@tensorflow/tfjs` does. That package is used itself if it is installed with the same
 * tfjs-core, so that a later import of it in user code registers nothing again over Lockstep's kernels and gradients.
 */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Tensorflow } from '../../api/tensorflow.js';
import { missingPackage, resolveOptional } from '../../shared/optional-package.js';

const ownRequire = createRequire(import.meta.url);

const union = '@tensorflow/tfjs';
const core = '@tensorflow/tfjs-core';
const converter = '@tensorflow/tfjs-converter';
const graphModelFunctions = ['loadGraphModel', 'loadGraphModelSync', 'registerOp', 'deregisterOp'] as const;

let united: Tensorflow | undefined;

/** Returns the same module in every call. */
export function requireTfjs(): Tensorflow {
  united ??= requireUnion() ?? uniteParts();
  return united;
}

function requireUnion(): Tensorflow | undefined {
  let file: string;
  try {
    file = ownRequire.resolve(union);
    if (createRequire(file).resolve(core) !== ownRequire.resolve(core)) return undefined;
  } catch {
    return undefined;
  }
  return ownRequire(file) as Tensorflow;
}

/** Returns a new module each time. */
export function uniteParts(): Tensorflow {
  const part = (name: string) => ownRequire(name) as Record<string, unknown>;
  const parts = {
    core: part(core),
    layers: part('@tensorflow/tfjs-layers'),
    data: part('@tensorflow/tfjs-data'),
    cpu: part('@tensorflow/tfjs-backend-cpu'),
  };
  registerAll();
  const installed = resolveOptional(converter);
  const graphModels = installed === undefined ? refusedGraphModels() : part(installed);
  const version = {
    'tfjs-core': parts.core['version_core'],
    'tfjs-backend-cpu': parts.cpu['version_cpu'],
    'tfjs-data': parts.data['version_data'],
    'tfjs-layers': parts.layers['version_layers'],
  };
  // Getters of a part, such as a flag that is read late, remain getters.
  const result = {};
  for (const exported of [parts.core, parts.layers, graphModels, parts.cpu])
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(exported)))
      if (name !== '__esModule' && name !== 'default') Object.defineProperty(result, name, descriptor);
  return Object.assign(result, { data: parts.data, version }) as unknown as Tensorflow;
}

/**
 * Registers the gradients of all kernels and the methods of tensors, which `@tensorflow/tfjs` does when it is loaded. The script is built
 * by scripts/build-tfjs.mjs.
 */
function registerAll(): void {
  ownRequire(fileURLToPath(new URL('../../../dist/tfjs/registrations.cjs', import.meta.url)));
}

/** Functions that name the missing package when they are called. */
function refusedGraphModels(): Record<string, unknown> {
  const refused = (name: string) => (): never => {
    throw missingPackage(converter, `tf.${name}`);
  };
  return Object.fromEntries(graphModelFunctions.map((name) => [name, refused(name)]));
}
