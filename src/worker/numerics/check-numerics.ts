/**
 * Checks that every operation that Lockstep calls on the native engine is deterministic on this machine: it gives bit-equal,
 * finite outputs for equal inputs, whatever the memory held before.
 */

import type { Engine } from '../engine/engine.js';
import { TensorflowKernels } from '../kernels/tensorflow.js';
import { checkCase, type NumericsResult } from './check-case.js';
import { FreeMemory } from './free-memory.js';
import type { NumericsCase, NumericsContext } from './numerics-case.js';
import { batchNormCases } from './cases/batch-norm.js';
import { convolutionCases } from './cases/convolutions.js';
import { elementwiseCases } from './cases/elementwise.js';
import { layerKernelCases } from './cases/layer-kernels.js';
import { objectiveCases } from './cases/objective.js';
import { productCases } from './cases/products.js';
import { rearrangementCases } from './cases/rearrangements.js';
import { recordedConvolutionCases } from './cases/recorded-convolutions.js';
import { reductionCases } from './cases/reductions.js';
import { updateCases } from './cases/updates.js';

/** Calls of each case. */
export const defaultNumericsCalls = 300;

/** Every case, for the native engine. */
export function numericsCases({ tf, memory }: Engine): NumericsCase[] {
  const context: NumericsContext = {
    tf,
    kernels: {
      float32: new TensorflowKernels(tf, memory, 'float32'),
      bfloat16: new TensorflowKernels(tf, memory, 'bfloat16'),
    },
    composed: {
      float32: new TensorflowKernels(tf, memory, 'float32', false),
      bfloat16: new TensorflowKernels(tf, memory, 'bfloat16', false),
    },
  };
  return [
    convolutionCases,
    productCases,
    batchNormCases,
    layerKernelCases,
    updateCases,
    objectiveCases,
    recordedConvolutionCases,
    elementwiseCases,
    reductionCases,
    rearrangementCases,
  ].flatMap((casesOf) => casesOf(context));
}

/** Checks each case with so many calls, in order. Takes about half a minute for 300 calls of all cases on one core. */
export function checkNumerics(
  { tf }: Pick<Engine, 'tf'>,
  cases: readonly NumericsCase[],
  calls = defaultNumericsCalls,
): NumericsResult[] {
  const memory = new FreeMemory(tf);
  try {
    return cases.map((numericsCase) => checkCase(tf, memory, numericsCase, calls));
  } finally {
    memory.dispose();
  }
}
