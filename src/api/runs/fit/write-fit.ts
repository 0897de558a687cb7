/** Writes the files of a call of `fit`: the model, the data, their description and the training definition. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { writeFileAtomically } from '../../../shared/files/write-whole.js';
import type { Tensorflow } from '../../tensorflow.js';
import { checkSavable } from '../../../worker/executor/model-weights.js';
import { saveModel } from '../../../worker/model-files/save-model.js';
import { modelName, permissionName, specName, type FitPermission, type FitSpec } from '../../fit/fit-spec.js';
import { fieldsOf, type FitArguments, type FitTensors } from './fit-arguments.js';
import { describeCompile, optimizerOf } from './fit-compile.js';
import { writeFitData } from './fit-data.js';
import { writeOptimizerState } from './fit-weights.js';

/** Replaces the permission that the workers read before each epoch. */
export function writePermission(folder: string, permission: FitPermission): Promise<void> {
  return writeFileAtomically(join(folder, permissionName), JSON.stringify(permission));
}

/** Name of the generated training definition. */
export const definitionName = 'lockstep.config.mjs';

/** @throws ConfigError or DataError for what the workers cannot train */
export async function writeFiles(
  folder: string,
  tf: Tensorflow,
  model: LayersModel,
  [xs, ys]: readonly [FitTensors, FitTensors],
  args: FitArguments,
): Promise<FitSpec> {
  const { workers = 2, batchSize = 32, initialEpoch = 0, epochs = 1, shuffle = true } = args;
  const shards = args.shards ?? workers ?? 2;
  checkSavable(model);
  const { compile, metrics } = describeCompile(tf, model, shards);
  const asksPermission = args.callbacks !== undefined;
  const { seed = 1 } = args;
  const data = await writeFitData(folder, model, [xs, ys], args);
  const spec: FitSpec = {
    ...data,
    compile,
    metrics,
    asksPermission,
    modules: (args.modules ?? []).map((one) => (one instanceof URL ? fileURLToPath(one) : one)),
    optimizerState: await writeOptimizerState(folder, model),
    values: {
      arithmetic: 'tfjs',
      ...fieldsOf(args),
      name: 'fit',
      workers,
      shards,
      batchSize,
      epochs: epochs - initialEpoch,
      shuffle,
      // Another order and other random numbers in each call for the same model.
      seed: (seed + optimizerOf(model).iterations) % 2 ** 32,
      schedule: { kind: 'constant' },
      evaluate: data.validation === null ? 'none' : 'test',
      evaluateEvery: '1epoch',
      evalBatchSize: args.evalBatchSize ?? batchSize,
      trainMetrics: metrics.length > 0,
      // Another checkpoint follows the last step.
      checkpointEvery: asksPermission ? '1epoch' : '100000000epochs',
      keep: 1,
    },
  };
  await saveModel(model, join(folder, modelName));
  await writeFile(join(folder, specName), JSON.stringify(spec));
  const modules = spec.modules.map((module) => `import ${JSON.stringify(moduleName(module))};\n`);
  await writeFile(
    join(folder, definitionName),
    `import { fitDefinition } from 'lockstep-fit';\n${modules.join('')}export default fitDefinition(new URL('.', import.meta.url));\n`,
  );
  return spec;
}

const moduleName = (module: string): string => (module.startsWith('file:') ? module : pathToFileURL(module).href);
