/** Copies the state of a checkpoint into the model of the caller and its optimizer, and the other way round. */

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { stateName } from '../../../shared/artefacts/artefact.js';
import { decodeSafetensors } from '../../../shared/checkpoint/safetensors.js';
import { CheckpointError, ConfigError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../tensorflow.js';
import { weightsOf } from '../../../worker/executor/model-weights.js';
import type { FitSpec } from '../../fit/fit-spec.js';
import { optimizerOf } from './fit-compile.js';

/** Names of the optimizer's vectors in checkpoints, in the order of `optimizer.getWeights()`, by tfjs's class. */
const slots: Readonly<Record<string, readonly string[]>> = {
  SGD: [],
  Momentum: ['sgd.momentum'],
  Adam: ['adam.first', 'adam.second'],
};

/** An entry of an optimizer's state. */
interface NamedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** An optimizer of tfjs whose state can be read and replaced. */
interface StatefulOptimizer {
  readonly iterations: number;
  getWeights(): Promise<NamedTensor[]>;
  setWeights(weights: NamedTensor[]): Promise<void>;
}

type State = ReadonlyMap<string, { readonly shape: readonly number[]; readonly values: ArrayLike<number> }>;

/** Reads the tensors of a checkpoint: the model's weights in order, then the optimizer's vectors. */
export async function readState(checkpoint: string): Promise<State> {
  const file = join(checkpoint, stateName);
  return decodeSafetensors(await readFile(file), file).tensors;
}

/** Writes the weights into the model. @throws CheckpointError if they are not those of the model */
export function assignState(tf: Tensorflow, model: LayersModel, state: State): void {
  const weights = weightsOf(model);
  const entries = [...state].slice(0, weights.length);
  tf.tidy(() => {
    for (const [i, variable] of weights.entries()) {
      const [name = '', found] = entries[i] ?? [];
      if (found?.shape.join() !== variable.shape.join())
        throw new CheckpointError(
          `fit: expected the weight ${variable.originalName} of ${variable.shape.join('x')}, got ${name} of ${found?.shape.join('x') ?? 'none'}.`,
        );
      variable.write(tf.tensor(Float32Array.from(found.values), [...found.shape], 'float32'));
    }
  });
}

/** Writes the vectors and the number of updates into the model's optimizer. */
export async function assignOptimizer(
  tf: Tensorflow,
  model: LayersModel,
  state: State,
  updates: number,
): Promise<void> {
  const optimizer = optimizerOf(model) as unknown as StatefulOptimizer;
  const names = slots[optimizerOf(model).getClassName()] ?? [];
  const trained = [...state.keys()].slice(0, weightsOf(model).length).filter((name) => state.has(`${names[0]}/${name}`));
  const old = await optimizer.getWeights();
  const tensors = names.flatMap((vector) =>
    trained.map((name): NamedTensor => {
      const { values = [], shape = [] } = state.get(`${vector}/${name}`) ?? {};
      return { name: `${name}/${vector}`, tensor: tf.tensor(Float32Array.from(values), [...shape]) };
    }),
  );
  const count: NamedTensor = { name: 'iter', tensor: tf.scalar(updates, 'int32') };
  await optimizer.setWeights([count, ...tensors]);
  // The optimizer has copies of the new values, and no longer uses the variables of the old ones.
  for (const { tensor } of [count, ...tensors, ...old]) tensor.dispose();
}

/**
 * Writes the state of the model's optimizer into files.
 * @throws ConfigError for an optimizer whose state the workers cannot continue
 */
export async function writeOptimizerState(folder: string, model: LayersModel): Promise<FitSpec['optimizerState']> {
  const className = optimizerOf(model).getClassName();
  const names = slots[className];
  const optimizer = optimizerOf(model) as unknown as StatefulOptimizer;
  if (optimizer.iterations === 0) return null;
  if (names === undefined)
    throw new ConfigError(
      `fit: the state of the optimizer ${className} after ${optimizer.iterations} updates cannot be continued. Compile the model again, ` +
        'which begins with a new state.',
    );
  const [count, ...tensors] = await optimizer.getWeights();
  count?.tensor.dispose();
  const perVector = tensors.length / Math.max(1, names.length);
  const vectors: Record<string, string[]> = {};
  for (const [v, name] of names.entries()) {
    const own = tensors.slice(v * perVector, (v + 1) * perVector);
    vectors[name] = await Promise.all(own.map(({ tensor }, i) => writeTensor(folder, `${name}-${i}.bin`, tensor)));
  }
  return { updates: optimizer.iterations, vectors };
}

async function writeTensor(folder: string, name: string, tensor: Tensor): Promise<string> {
  const values = Float32Array.from(await tensor.data());
  await writeFile(join(folder, name), new Uint8Array(values.buffer));
  return name;
}

/** True if the state of the optimizer can be written into it after the training. */
export const hasKnownState = (model: LayersModel): boolean => optimizerOf(model).getClassName() in slots;
