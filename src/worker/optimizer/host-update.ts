/** Chooses the arithmetic of an optimizer and gives it the optimizer's vectors and coefficients. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { OptimizerConfig } from '../../shared/config/run-config.js';
import { vectorOf, type ParameterVector } from '../../shared/model/named-vectors.js';
import { updateAdadelta, updateAdagrad, updateAdamax, updateRmsprop } from '../kernels/adaptive-updates.js';
import { updateAdam, updateSgd } from '../kernels/host-updates.js';
import { adamStep } from './engine-adam.js';

/** One update of the elements [from, to) of the parameters. */
export interface RangeUpdate {
  readonly gradient: Float32Array;
  readonly range: readonly [from: number, to: number];
  /** Counts from 1. */
  readonly step: number;
  readonly learningRate: number;
  /** The weight decay of these parameters. */
  readonly decay: number;
}

/** @param vectors those of `optimizerVectors(config)`, changed in place */
export function updateRange(
  config: OptimizerConfig,
  vectors: ReadonlyMap<ParameterVector, Float32Array>,
  { gradient, range, step, learningRate, decay }: RangeUpdate,
): void {
  const weights = vectorOf(vectors, 'weights');
  const ofTfjs = 'arithmetic' in config && config.arithmetic === 'tfjs';
  switch (config.kind) {
    case 'sgd': {
      // Without momentum the buffer is neither read nor written.
      const buffer = vectors.get('sgd.momentum') ?? weights;
      updateSgd(weights, buffer, gradient, range, step === 1, { ...config, learningRate, decay });
      return;
    }
    case 'adam':
    case 'adamw':
      updateAdam(
        weights,
        vectorOf(vectors, 'adam.first'),
        vectorOf(vectors, 'adam.second'),
        gradient,
        range,
        {
          ...adamStep(config, step, learningRate),
          beta1: config.beta1,
          beta2: config.beta2,
          coupledDecay: config.kind === 'adam' ? decay : 0,
          decoupledDecay: config.kind === 'adamw' ? learningRate * decay : 0,
        },
      );
      return;
    case 'rmsprop': {
      const [mean, momentum] = [vectors.get('rmsprop.mean'), vectors.get('rmsprop.momentum')];
      const state = { weights, square: vectorOf(vectors, 'rmsprop.square'), mean, momentum };
      updateRmsprop(state, gradient, range, {
        ...config,
        learningRate,
        decay,
        rho: config.decay,
        ofTfjs,
      });
      return;
    }
    case 'adagrad':
      updateAdagrad(weights, vectorOf(vectors, 'adagrad.sum'), gradient, range, {
        ...config,
        learningRate,
        decay,
        ofTfjs,
      });
      return;
    case 'adadelta': {
      const [square, updates] = [vectorOf(vectors, 'adadelta.square'), vectorOf(vectors, 'adadelta.update')];
      updateAdadelta(weights, square, updates, gradient, range, { ...config, learningRate, decay, ofTfjs });
      return;
    }
    case 'adamax': {
      const stepSize = learningRate / (1 - exactMath.pow(config.beta1, step));
      const [first, norm] = [vectorOf(vectors, 'adamax.first'), vectorOf(vectors, 'adamax.norm')];
      updateAdamax(weights, first, norm, gradient, range, { ...config, stepSize, decay, ofTfjs });
      return;
    }
  }
}

/** The value of each element of a vector before the first step. The weights begin with the model's. */
export function initialValue(config: OptimizerConfig, name: ParameterVector): number {
  return config.kind === 'adagrad' && name === 'adagrad.sum' ? config.initialAccumulatorValue : 0;
}
