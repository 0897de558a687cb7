/** Writes the tensors of `fit` into files for the workers. */

import { createHash, type Hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { ClassWeight, LayersModel } from '@tensorflow/tfjs-layers';
import { DataError } from '../../../shared/errors.js';
import { elementCount } from '../../../shared/model/layout.js';
import type { FitSpec, SplitFiles, TensorFile } from '../../fit/fit-spec.js';
import type { FitArguments, FitTensors } from './fit-arguments.js';

/** Values of one tensor, samples first. */
interface Values {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  readonly data: Float32Array | Int32Array;
}

interface Samples {
  readonly count: number;
  readonly inputs: readonly Values[];
  readonly targets: readonly Values[];
  /** A weight for each sample and each target; null for a target whose samples all have weight 1. */
  readonly weights: readonly (ArrayLike<number> | null)[];
}

export type FitData = Pick<FitSpec, 'dataSha256' | 'train' | 'validation' | 'outputs' | 'weighted'>;

/** @throws DataError if the tensors do not fit the model or each other */
export async function writeFitData(
  folder: string,
  model: LayersModel,
  [xs, ys]: readonly [FitTensors, FitTensors],
  args: Pick<FitArguments, 'validationData' | 'validationSplit' | 'classWeight' | 'sampleWeight'>,
): Promise<FitData> {
  const all = await readSamples(model, xs, ys);
  const weighted = await withWeights(model, all, args);
  const { validationData, validationSplit = 0 } = args;
  const splitAt = Math.floor(all.count * (1 - validationSplit));
  const isSplit = validationData === undefined && validationSplit > 0;
  const train = isSplit ? slice(weighted, 0, splitAt) : weighted;
  if (train.count === 0 || (isSplit && splitAt === all.count))
    throw new DataError(
      `fit: validationSplit: expected samples in both parts, got ${train.count} and ${all.count - splitAt} of ${all.count}.`,
    );
  let validation: Samples | null = isSplit ? slice(all, splitAt, all.count) : null;
  if (validationData) validation = await readSamples(model, ...validationData);
  const isWeighted = weighted.weights.some((weights) => weights !== null);
  const hash = createHash('sha256');
  return {
    train: await writeSplit(folder, 'train', train, isWeighted, hash),
    validation: validation && (await writeSplit(folder, 'validation', validation, isWeighted, hash)),
    dataSha256: hash.digest('hex'),
    weighted: isWeighted,
    outputs: model.outputs.map((output, i) => ({
      name: output.sourceLayer.name,
      targetShape: all.targets[i]?.shape ?? [],
    })),
  };
}

async function readSamples(model: LayersModel, xs: FitTensors, ys: FitTensors): Promise<Samples> {
  const inputs = await valuesOf('xs', xs, model.inputNames);
  const targets = await valuesOf('ys', ys, model.outputNames);
  const counts = [...inputs, ...targets].map(({ shape, data }) => data.length / elementCount(shape));
  const [count = 0] = counts;
  const other = counts.find((one) => one !== count);
  if (other !== undefined)
    throw new DataError(`fit: expected as many samples in each tensor, got ${count} and ${other}.`);
  // In tfjs, targets of a class number per sample are [samples, 1].
  return { count, inputs, targets, weights: targets.map(() => null) };
}

async function valuesOf(what: string, given: FitTensors, names: readonly string[]): Promise<Values[]> {
  const tensors = isTensor(given) ? [given] : Array.isArray(given) ? given : named(what, given, names);
  if (tensors.length !== names.length)
    throw new DataError(
      `fit: ${what}: expected ${names.length} tensors (${names.join(', ')}), got ${tensors.length}.`,
    );
  return Promise.all(
    tensors.map(async (tensor: Tensor): Promise<Values> => {
      if (!isTensor(tensor) || tensor.rank === 0)
        throw new DataError(`fit: ${what}: expected tensors whose first dimension is that of the samples.`);
      const dtype = tensor.dtype === 'int32' && what === 'xs' ? 'int32' : 'float32';
      const data = await tensor.data();
      const copied = dtype === 'int32' ? Int32Array.from(data) : Float32Array.from(data);
      return { shape: tensor.shape.slice(1), dtype, data: copied };
    }),
  );
}

const isTensor = (value: unknown): value is Tensor =>
  typeof value === 'object' && value !== null && 'dataSync' in value && 'shape' in value;

function named(what: string, given: Readonly<Record<string, Tensor>>, names: readonly string[]): Tensor[] {
  return names.map((name) => {
    const tensor = given[name];
    if (tensor) return tensor;
    throw new DataError(`fit: ${what}: expected a tensor "${name}", got ${Object.keys(given).join(', ') || 'none'}.`);
  });
}

/** @throws DataError if a weight is missing */
async function withWeights(
  { outputNames }: LayersModel,
  samples: Samples,
  { classWeight, sampleWeight }: Pick<FitArguments, 'classWeight' | 'sampleWeight'>,
): Promise<Samples> {
  const perSample = sampleWeight === undefined ? null : await sampleWeight.data();
  if (perSample && perSample.length !== samples.count)
    throw new DataError(`fit: sampleWeight: expected ${samples.count} weights, got ${perSample.length}.`);
  const weights = samples.targets.map((target, i) => {
    const byClass = classWeightOf(classWeight, outputNames, i);
    if (byClass === undefined) return perSample;
    const classes = classesOf(target, samples.count);
    return Float32Array.from(classes, (label, at) => {
      const weight = byClass[label];
      if (weight === undefined)
        throw new DataError(`fit: classWeight: expected a weight for class ${label} (sample ${at}), got none.`);
      return weight * (perSample?.[at] ?? 1);
    });
  });
  return { ...samples, weights };
}

/** As in tfjs: one object for a single output, a list in the order of the outputs, or objects by the outputs' names. */
function classWeightOf(
  given: FitArguments['classWeight'],
  names: readonly string[],
  output: number,
): ClassWeight | undefined {
  if (given === undefined) return undefined;
  if (Array.isArray(given)) return given[output];
  const name = names[output] ?? '';
  const isByName = Object.values(given).some((value) => typeof value === 'object');
  if (isByName) return (given as Record<string, ClassWeight>)[name];
  if (names.length === 1) return given as ClassWeight;
  throw new DataError(`fit: classWeight: expected weights by the names of the outputs (${names.join(', ')}).`);
}

/** As in tfjs: class numbers [samples] or [samples, 1], or one-hot rows. */
function classesOf({ shape, data }: Values, count: number): number[] {
  const [length = 1, ...more] = shape;
  if (more.length > 0)
    throw new DataError(`fit: classWeight: expected targets of rank 1 or 2, got rank ${shape.length + 1}.`);
  return Array.from({ length: count }, (_, at) => {
    if (length === 1) return data[at] ?? 0;
    const row = data.subarray(at * length, (at + 1) * length);
    return row.indexOf(Math.max(...row));
  });
}

function slice({ inputs, targets, weights }: Samples, from: number, to: number): Samples {
  const cut = ({ shape, dtype, data }: Values): Values => {
    const size = elementCount(shape);
    return { shape, dtype, data: data.subarray(from * size, to * size) };
  };
  return {
    count: to - from,
    inputs: inputs.map(cut),
    targets: targets.map(cut),
    weights: weights.map((one) => one && Array.from(one).slice(from, to)),
  };
}

async function writeSplit(
  folder: string,
  label: string,
  { count, inputs, targets, weights }: Samples,
  isWeighted: boolean,
  hash: Hash,
): Promise<SplitFiles> {
  const write = async (kind: string, { shape, dtype, data }: Values, i: number): Promise<TensorFile> => {
    const file = `${label}-${kind}-${i}.bin`;
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    hash.update(JSON.stringify([file, shape, dtype])).update(bytes);
    await writeFile(join(folder, file), bytes);
    return { file, shape, dtype };
  };
  const packed = isWeighted ? targets.map((target, i) => pack(target, count, weights[i] ?? null)) : targets;
  const files: { inputs: TensorFile[]; targets: TensorFile[] } = { inputs: [], targets: [] };
  // One after another, since the hash depends on the order.
  for (const [i, values] of inputs.entries()) files.inputs.push(await write('input', values, i));
  for (const [i, values] of packed.entries()) files.targets.push(await write('target', values, i));
  return { count, ...files };
}

/** Appends the weight of each sample to its target. */
function pack({ shape, data }: Values, count: number, weights: ArrayLike<number> | null): Values {
  const size = elementCount(shape);
  const packed = new Float32Array(count * (size + 1));
  for (let at = 0; at < count; at++) {
    packed.set(data.subarray(at * size, (at + 1) * size), at * (size + 1));
    packed[at * (size + 1) + size] = weights?.[at] ?? 1;
  }
  return { shape: [size + 1], dtype: 'float32', data: packed };
}
