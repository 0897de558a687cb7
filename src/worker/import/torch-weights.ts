/**
 * Copies PyTorch's weights into a tf.LayersModel. The names in a state dict are those of its author, so modules are paired
 * with layers by kind, shape and order. Nothing is written unless everything fits.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Safetensors, NamedTensor } from '../../shared/checkpoint/safetensors.js';
import { DataError } from '../../shared/errors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { fromTorch, torchModules, type TorchModule } from '../export/torch-layout.js';

export interface Pairing {
  /** Name in the file, such as `features.0`. */
  readonly module: string;
  readonly layer: string;
}

/** Entries of a state dict that are no weights and have no counterpart in tfjs. */
const ignored = 'num_batches_tracked';
/** Maximum number of orders of the top-level modules that are tried: 6! */
const mostGroups = 6;

/**
 * Pairs modules with layers. Modules of one parent are ordered by their numbers, the parents by the only order that fits.
 * @param order names of the top-level modules, first to last; by default the order is determined
 * @throws DataError if no order or several fit, or if a tensor is missing, superfluous or not float32
 */
export function pairModules(
  { tensors }: Safetensors,
  model: LayersModel,
  file: string,
  order: readonly string[] | undefined,
): ReadonlyMap<TorchModule, string> {
  const modules = new Map<string, Map<string, NamedTensor>>();
  for (const [name, tensor] of tensors) {
    const dot = name.lastIndexOf('.');
    const [module, part] = [name.slice(0, Math.max(0, dot)), name.slice(dot + 1)];
    if (part === ignored) continue;
    modules.set(module, (modules.get(module) ?? new Map<string, NamedTensor>()).set(part, tensor));
  }
  const names = [...modules.keys()].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const [group = name] = name.split('.');
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  const wanted = torchModules(model);
  const candidates = order ? [order] : permutations([...groups.keys()]);
  const sequences = candidates.map((candidate) => candidate.flatMap((group) => groups.get(group) ?? []));
  const misfits = sequences.map((sequence) => misfit(sequence, modules, wanted));
  const fitting = sequences.filter((_, i) => misfits[i] === undefined);
  // The reason for the order that fits the most modules is reported.
  const closest = misfits.reduce(
    (best, next) => ((next?.at ?? 0) > (best?.at ?? 0) ? next : best),
    misfits[0],
  );
  const [found] = fitting;
  if (found && fitting.length === 1) return new Map(wanted.map((module, i) => [module, found[i] ?? '']));
  const tops = [...groups.keys()].join(',');
  const problem = found
    ? `expected one order of ${tops} that fits, got ${fitting.length}. Say which with --order ${tops}.`
    : `${closest?.reason ?? 'expected tensors, got none'}. It must be the state dict of the model that --config builds.`;
  throw new DataError(`${file}: ${problem}`, { file });
}

/** Writes the weights into the model's variables. */
export function assignTorchWeights(
  tf: Tensorflow,
  { tensors }: Safetensors,
  pairs: ReadonlyMap<TorchModule, string>,
): Pairing[] {
  return [...pairs].map(([{ layer, tensors: parts }, module]) => {
    for (const part of parts) {
      const values = tensors.get(`${module}.${part.part}`)?.values as Float32Array;
      tf.tidy(() => {
        part.variable.write(tf.tensor(fromTorch(part, values), part.variable.shape as number[]));
      });
    }
    return { module, layer };
  });
}

interface Misfit {
  /** Number of modules that fit. */
  readonly at: number;
  readonly reason: string;
}

/** Returns the reason for which the modules in this sequence are not the model's layers; undefined if they are. */
function misfit(
  sequence: readonly string[],
  modules: ReadonlyMap<string, ReadonlyMap<string, NamedTensor>>,
  wanted: readonly TorchModule[],
): Misfit | undefined {
  if (sequence.length !== wanted.length)
    return { at: 0, reason: `expected ${wanted.length} modules with weights, got ${sequence.length}` };
  for (const [at, { layer, tensors }] of wanted.entries()) {
    const name = sequence[at] ?? '';
    const parts = modules.get(name);
    for (const { part, shape } of tensors) {
      const tensor = parts?.get(part);
      const got = tensor ? `[${tensor.shape.join()}]` : 'none';
      if (!tensor || got !== `[${shape.join()}]`) {
        const wantedShape = `of shape [${shape.join()}] for layer "${layer}"`;
        return { at, reason: `expected "${name}.${part}" ${wantedShape}, got ${got}` };
      }
      if (!(tensor.values instanceof Float32Array))
        return { at, reason: `expected "${name}.${part}" in float32, got another type` };
    }
    const extra = [...(parts?.keys() ?? [])].find((part) => tensors.every((tensor) => tensor.part !== part));
    if (extra !== undefined)
      return { at, reason: `expected no "${name}.${extra}", got one: layer "${layer}" has none` };
  }
  return undefined;
}

function permutations(items: readonly string[]): string[][] {
  if (items.length > mostGroups) return [[...items]];
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) =>
    permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]),
  );
}
