/** Copies the weights of a file into a model. The names in the file are those of Lockstep, of tfjs, or of a converter. */

import type { Tensor, io } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ModelError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { LayerVariable } from '../executor/layer.js';
import { weightPaths, weightsOf } from '../executor/model-weights.js';

type Spec = io.WeightsManifestEntry;

/** Bytes of one element, by the stored type. */
export const bytesPerElement = {
  float32: 4,
  int32: 4,
  bool: 1,
  complex64: 8,
  uint8: 1,
  uint16: 2,
  float16: 2,
} as const;

interface Target {
  readonly variable: LayerVariable;
  readonly path: string;
  /** Its name in Keras's own format: the path of its layer and its index in the layer. */
  readonly indexed: string;
}

/**
 * Sets every weight of the model.
 * @param file the model's file, for errors
 * @throws ModelError naming the first weight that is missing, superfluous or of another shape; the model is unchanged then
 */
export function assignWeights(
  tf: Tensorflow,
  model: LayersModel,
  { weightSpecs = [], weightData }: io.ModelArtifacts,
  file: string,
): void {
  const specs = weightSpecs.filter(({ group }) => group !== 'optimizer');
  const pairs = pairWeights(model, specs, file);
  for (const [{ name, shape }, variable] of pairs) {
    const expected = variable.shape.join();
    if (shape.join() === expected) continue;
    throw new ModelError(
      `Model ${file} can't be loaded: weight "${name}": expected [${expected}], got [${shape.join()}]. ` +
        'Use the weights that belong to this model.json.',
      { file },
    );
  }
  const bytes = new Uint8Array(weightData as ArrayBuffer);
  let offset = 0;
  for (const spec of weightSpecs) {
    const size = elementCount(spec.shape) * bytesPerElement[storedType(spec)];
    const variable = pairs.get(spec);
    if (variable) {
      const { [spec.name]: value } = tf.io.decodeWeights(bytes.slice(offset, offset + size).buffer, [spec]);
      variable.write(value as Tensor);
      value?.dispose();
    }
    offset += size;
  }
}

function storedType({ quantization, dtype }: Spec): keyof typeof bytesPerElement {
  return (quantization?.dtype ?? dtype) as keyof typeof bytesPerElement;
}

/** Finds the variable of each weight in the file. */
function pairWeights(
  model: LayersModel,
  specs: readonly Spec[],
  file: string,
): ReadonlyMap<Spec, LayerVariable> {
  const open = new Set(targetsOf(model));
  const pairs = new Map<Spec, LayerVariable>();
  const pair = (rule: (spec: Spec, target: Target) => boolean): void => {
    for (const spec of specs) {
      if (pairs.has(spec)) continue;
      const found = [...open].find((target) => rule(spec, target));
      if (!found) continue;
      pairs.set(spec, found.variable);
      open.delete(found);
    }
  };
  const counts = new Map<string, number>();
  for (const { name } of specs) counts.set(name, (counts.get(name) ?? 0) + 1);
  const isUnique = (name: string): boolean => counts.get(name) === 1;
  pair(({ name }, { path }) => isUnique(name) && name === path);
  // Keras names the weights of a nested Sequential after it, and tfjs does not.
  pair(({ name }, { path }) => isUnique(name) && path.endsWith(`/${name}`) && only(open, name));
  // Files without paths have the weights of one name in the order of the model.
  const remaining = [...open].map(({ variable }) => variable.originalName);
  const places = (name: string): number => remaining.filter((original) => original === name).length;
  pair(({ name }, { variable }) => name === variable.originalName && places(name) === counts.get(name));
  for (const variant of variants) {
    pair(({ name }, { path, indexed }) => {
      const renamed = variant(name.split('/')).join('/');
      return isUnique(name) && (renamed === path || renamed === indexed);
    });
  }
  const unused = specs.find((spec) => !pairs.has(spec));
  const [missing] = open;
  if (!unused && !missing) return pairs;
  const got = unused ? `"${unused.name}" of shape [${unused.shape.join()}]` : 'none';
  const expected = missing
    ? `"${missing.path}" of shape [${missing.variable.shape.join()}]`
    : 'no further weight';
  throw new ModelError(
    `Model ${file} can't be loaded: expected ${missing ? 'weight ' : ''}${expected}, got ${got}. ` +
      'Use the weights that belong to this model.json.',
    { file },
  );
}

function targetsOf(model: LayersModel): Target[] {
  const paths = weightPaths(model);
  const sizes = new Map<string, number>();
  return weightsOf(model).map((variable, i) => {
    const path = paths[i] ?? '';
    const layer = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    const index = sizes.get(layer) ?? 0;
    sizes.set(layer, index + 1);
    return { variable, path, indexed: `${layer}/${index}` };
  });
}

/** Returns true if one open weight has a path that ends with the name. */
function only(open: ReadonlySet<Target>, name: string): boolean {
  return [...open].filter(({ path }) => path.endsWith(`/${name}`)).length === 1;
}

type Rename = (parts: readonly string[]) => readonly string[];

/** Leaves out the cell of a recurrent layer: Keras names a weight `lstm/lstm_cell/kernel`, tfjs `lstm/kernel`. */
const withoutCell: Rename = (parts) =>
  parts.length < 3 ? parts : [...parts.slice(0, -2), ...parts.slice(-1)];
/** Keras 3 puts the names of models in front. */
const without =
  (models: number): Rename =>
  (parts) =>
    parts.slice(Math.min(models, parts.length - 2));
/** Keras 3 calls the kernel of a DepthwiseConv2D `kernel`. */
const depthwise: Rename = (parts) => [...parts.slice(0, -1), `depthwise_${parts.at(-1) ?? ''}`];

const mostModels = 4;

/** Names that a weight may have in tfjs, from its name in a file of Keras; the most likely first. */
const variants: readonly Rename[] = Array.from({ length: mostModels + 1 }, (_, models) =>
  without(models),
).flatMap((shorter): Rename[] => [
  shorter,
  (parts) => withoutCell(shorter(parts)),
  (parts) => depthwise(shorter(parts)),
]);
