/** Predicts the targets of table rows. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { lossOfOutputs, type LossConfig } from '../../shared/config/loss-config.js';
import type { ColumnEncoding } from '../../shared/data/preprocessing.js';
import { ModelError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { finalActivations } from '../executor/final-activation.js';
import { outputNames } from '../objective/objective.js';
import { rankedClasses, type RankedClass } from './classify.js';

/** A number in the unit of the target's column, or all classes, the most probable first. */
export type TargetPrediction =
  | { readonly target: string; readonly value: number }
  | { readonly target: string; readonly ranked: readonly RankedClass[] };

export interface ModelRows {
  readonly model: LayersModel;
  readonly count: number;
  /** Values of each input of the model, row by row. */
  readonly inputs: readonly { readonly values: Float32Array; readonly width: number }[];
  /** Columns of the outputs, in order. */
  readonly targets: readonly ColumnEncoding[];
  readonly loss: LossConfig;
  readonly batchSize: number;
}

/** Returns the predictions of each row, in order of the outputs. @throws ModelError if the model has other inputs or outputs */
export function predictRows(tf: Tensorflow, rows: ModelRows): TargetPrediction[][] {
  checkInputs(rows);
  const { model, count, inputs, batchSize } = rows;
  const readers = outputReaders(rows);
  const outputs = tf.tidy(() => {
    const tensors = inputs.map(({ values, width }) => tf.tensor2d(values, [count, width]));
    const predicted = model.predict(tensors.length === 1 ? (tensors[0] as Tensor) : tensors, { batchSize });
    return [predicted].flat().map((output, i) => {
      const activate = readers[i]?.activate;
      const shown =
        activate === undefined ? output : activate === 'softmax' ? tf.softmax(output) : tf.sigmoid(output);
      return shown.dataSync<'float32'>();
    });
  });
  return Array.from({ length: count }, (_, row) =>
    readers.map(({ units, read }, i) =>
      read((outputs[i] ?? new Float32Array()).subarray(row * units, (row + 1) * units)),
    ),
  );
}

/** Converts the values of one output to a prediction. */
interface OutputReader {
  readonly units: number;
  /** The activation that the output lacks, because the loss contains it. */
  readonly activate: 'softmax' | 'sigmoid' | undefined;
  read(values: Float32Array): TargetPrediction;
}

function outputReaders({ model, targets, loss }: ModelRows): OutputReader[] {
  const names = outputNames(model);
  if (names.length !== targets.length) {
    throw new ModelError(
      `Model "${model.name}": expected ${targets.length} outputs, one for each target of its training, got ${names.length}.`,
    );
  }
  const losses = lossOfOutputs(loss, names);
  const activations = finalActivations(model);
  return targets.map((target, i): OutputReader => {
    const { name } = target;
    const units = elementCount((model.outputs[i]?.shape ?? []).slice(1).map(Number));
    const activation = activations[i];
    if (target.kind === 'category' && units >= target.values.length && units > 1) {
      const activate = activation === 'softmax' ? undefined : 'softmax';
      return { units, activate, read: (values) => ({ target: name, ranked: rankedClasses(values) }) };
    }
    if (units !== 1) {
      const expected = target.kind === 'number' ? 'one value' : `${target.values.length} values`;
      throw new ModelError(
        `Model "${model.name}", output "${names[i] ?? ''}": expected ${expected} for the target "${name}", got ${units}.`,
      );
    }
    const isBinary = losses[i]?.kind === 'binaryCrossEntropy';
    const activate = isBinary && activation !== 'sigmoid' ? 'sigmoid' : undefined;
    if (target.kind === 'category' && (isBinary || activation === 'sigmoid')) {
      const both = ([one = Number.NaN]: Float32Array): number[] => [1 - one, one];
      return { units, activate, read: (values) => ({ target: name, ranked: rankedClasses(both(values)) }) };
    }
    const { mean, deviation } = target.kind === 'number' ? target : { mean: 0, deviation: 1 };
    const read = ([value = Number.NaN]: Float32Array) => ({ target: name, value: value * deviation + mean });
    return { units, activate, read };
  });
}

function checkInputs({ model, inputs }: ModelRows): void {
  const expected = model.inputs.map(({ shape }) => shape.slice(1).join('x'));
  const given = inputs.map(({ width }) => String(width));
  if (expected.join() === given.join()) return;
  throw new ModelError(
    `Model "${model.name}": expected inputs of ${given.join(' and ')} values, which the table of its training has, ` +
      `got ${expected.join(' and ')}.`,
  );
}
