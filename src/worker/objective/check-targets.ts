/** Checks that each loss fits the shape of the model's output and of the data's target. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { OutputLossConfig } from '../../shared/config/run-config.js';
import type { TensorSpec } from '../../shared/data/training-data.js';
import { ModelError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';

export interface CheckedTargets {
  readonly model: LayersModel;
  readonly targets: readonly TensorSpec[];
  /** Name of the data in messages. */
  readonly dataName: string;
}

interface CheckedOutput {
  readonly loss: OutputLossConfig;
  readonly target: TensorSpec;
  /** Shape of one sample's output. */
  readonly shape: readonly (number | null)[];
  /** Beginning of the message of an error. */
  readonly gives: string;
  readonly dataName: string;
}

/**
 * Returns a sentence for each output that fits, but probably not as intended.
 * @param names of the outputs
 * @throws ModelError
 */
export function checkTargets(
  { model, targets, dataName }: CheckedTargets,
  names: readonly string[],
  losses: readonly OutputLossConfig[],
): string[] {
  if (targets.length !== names.length) {
    throw new ModelError(
      `Model "${model.name}" has ${names.length} outputs (${names.join(', ')}), but ${dataName} has ${targets.length} targets.`,
    );
  }
  return losses.flatMap((loss, i) => {
    const shape = (model.outputs[i]?.shape ?? []).slice(1);
    const gives = `Model "${model.name}" gives ${shape.join('x') || 'one'} values a sample in "${names[i] ?? ''}"`;
    const checked = { loss, target: targets[i] as TensorSpec, shape, gives, dataName };
    if (loss.kind === 'custom') return [];
    return loss.kind === 'softmaxCrossEntropy' ? checkClasses(checked) : checkValues(checked);
  });
}

function checkClasses({ target, shape, gives, dataName }: CheckedOutput): string[] {
  const { classes = 1 } = target;
  const units = shape.at(-1) ?? 0;
  if (target.dtype !== 'int32') {
    const isOneHot = target.shape.at(-1) === units && units > 1;
    const remedy = isOneHot
      ? `Write the number of the class instead of ${units} values (one-hot), with shape [] and dtype int32.`
      : 'Declare the number of classes (`classes: 10` in arrays, tensors or csv; dtype int32 in samples), or choose another loss.';
    throw new ModelError(
      `loss: softmaxCrossEntropy needs class indices, but ${dataName} has real numbers. ${remedy}`,
    );
  }
  if (shape.length === target.shape.length && target.shape.at(-1) === 1 && shape.length > 0) {
    throw new ModelError(
      `${gives}, but ${dataName} has targets of ${target.shape.join('x')}. A class number has one dimension less than the output: ` +
        `give the targets the shape [${target.shape.slice(0, -1).join(', ')}].`,
    );
  }
  if (shape.length !== target.shape.length + 1 || units < classes) {
    throw new ModelError(
      `${gives}, but ${dataName} has ${classes} classes. End with a Dense layer of ${classes} units.`,
    );
  }
  return target.classes !== undefined && units > classes
    ? [
        `${gives}, but ${dataName} has ${classes} classes: ${units - classes} units are never the right answer.`,
      ]
    : [];
}

function checkValues({ loss, target, shape, gives, dataName }: CheckedOutput): string[] {
  const { classes } = target;
  if (elementCount(shape.map(Number)) !== elementCount(target.shape)) {
    const remedy =
      classes !== undefined && classes > 1 && shape.at(-1) === classes
        ? 'Its targets are class numbers: use the loss softmaxCrossEntropy.'
        : 'Make them as many.';
    throw new ModelError(
      `${gives}, but ${dataName} has targets of ${target.shape.join('x') || 'one value'}. ${remedy}`,
    );
  }
  if (classes === undefined || classes <= 2) return [];
  if (loss.kind === 'binaryCrossEntropy') {
    throw new ModelError(
      `loss: binaryCrossEntropy needs targets of 0 and 1, but ${dataName} has ${classes} classes. ` +
        `Use the loss softmaxCrossEntropy and ${classes} units.`,
    );
  }
  return [
    `loss: ${loss.kind} treats the ${classes} classes of ${dataName} as numbers. Use softmaxCrossEntropy for classes.`,
  ];
}
