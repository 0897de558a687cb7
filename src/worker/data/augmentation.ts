/** Applies the configured augmentations, and the definition's own functions, to training samples as they are read. */

import type { AugmentFunction, SampleToAugment } from '../../api/augment.js';
import type { ResolvedConfig } from '../../shared/config/run-config.js';
import { augmentationDraws, augmentPicture, type Picture } from './image-transforms.js';
import type { DataSplit, TensorValues } from '../../shared/data/training-data.js';
import { ConfigError, DataError, UserCodeError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import { withoutMathRandom } from '../random/math-random.js';
import type { Augment } from './batch-reader.js';
import { expectedBy, firstViolation, specRule, type ValueRule } from './value-rules.js';
import { describeValue, inUserCode, isThenable } from '../../shared/user-code.js';

const drawsRandom =
  'augment: a function called Math.random, so its result would depend on the worker. Draw from the `random` that it is given.';

/**
 * Returns undefined if no augmentation is configured. The returned function throws ModelError if a function of the definition calls
 * Math.random.
 * @param functions the functions of the `custom` entries, in their order
 * @throws ConfigError if a built-in augmentation is configured and no input is a picture (height x width x channels)
 */
export function createAugment(
  { seed, augment }: Pick<ResolvedConfig, 'seed' | 'augment'>,
  split: DataSplit,
  functions: readonly AugmentFunction[],
): Augment | undefined {
  if (augment.length === 0) return undefined;
  const { inputs, targets } = split;
  const pictures = inputs.flatMap(({ shape, dtype }, i) =>
    shape.length === 3 && dtype === 'float32' ? [i] : [],
  );
  const builtIn = augment.find(({ kind }) => kind !== 'custom');
  if (builtIn && pictures.length === 0) {
    const shapes = inputs.map(({ shape }) => shape.join('x')).join(', ');
    throw new ConfigError(
      `augment: "${builtIn.kind}" needs an input of height x width x channels, got ${shapes}. Use a function of your own.`,
    );
  }
  const sample = (values: readonly TensorValues[], specs: DataSplit['inputs'], at: number): TensorValues[] =>
    specs.map(({ shape }, i) => {
      const size = elementCount(shape);
      return (values[i] as TensorValues).subarray(at * size, (at + 1) * size);
    });
  const inputRules = inputs.map((spec) => specRule('input', spec));
  const targetRules = targets.map((spec) => specRule('target', spec));

  return (epoch, indices, samples) => {
    for (const [at, index] of indices.entries()) {
      const random = augmentationDraws(seed, epoch, index);
      const own = [...functions];
      for (const config of augment) {
        if (config.kind === 'custom') {
          const given = {
            epoch,
            index,
            random,
            inputs: sample(samples.inputs, inputs, at),
            targets: sample(samples.targets, targets, at),
          };
          const change = own.shift();
          if (change) runOwn(change, given);
          checkChanged(given.inputs, inputRules, index);
          checkChanged(given.targets, targetRules, index);
          continue;
        }
        for (const i of pictures) {
          const { shape, background = 0 } = inputs[i] as DataSplit['inputs'][number];
          const [height = 1, width = 1, channels = 1] = shape;
          const values = sample(samples.inputs, inputs, at)[i] as Float32Array;
          augmentPicture({ values, height, width, channels, background } satisfies Picture, config, random);
        }
      }
    }
  };
}

/** @throws DataError if a function of the definition wrote a value that the data's description excludes */
function checkChanged(values: readonly TensorValues[], rules: readonly ValueRule[], index: number): void {
  for (const [i, rule] of rules.entries()) {
    const at = firstViolation(values[i] ?? [], rule);
    if (at < 0) continue;
    throw new DataError(
      `augment: training sample ${index}, ${rule.tensor} ${i + 1}, value ${at}: expected ${expectedBy(rule)} from the ` +
        `definition's function, got ${values[i]?.[at]}. Correct the function.`,
      { index },
    );
  }
}

/** @throws ModelError if the function calls Math.random, UserCodeError if it fails or is asynchronous */
function runOwn(change: (sample: SampleToAugment) => unknown, given: SampleToAugment): void {
  const returned = inUserCode('augment', () => withoutMathRandom(drawsRandom, () => change(given)));
  if (!isThenable(returned)) return;
  throw new UserCodeError(
    `augment: expected a function that changes the sample before it returns, got ${describeValue(returned)} (sample ${given.index}). ` +
      'Do asynchronous work in the data source.',
  );
}
