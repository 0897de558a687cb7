/** What the module offers. It keeps no state and no data: memory is tfjs's, every address and size comes with the call. */

export { multiply, multiplyTransposed, packPanels } from './matrix';
export { convolve, filterGradient, packTurnedFilter } from './convolution';
export {
  columnSums,
  gradientSums,
  inputGradient,
  moments,
  normalize,
  normalizeAndPool,
  pooledGradientSums,
  pooledInputGradient,
} from './batch-norm';
export { adam, biasAdd, relu, reluGradient } from './elementwise';
export { hash } from './hash';
export { softmaxCrossEntropy } from './loss';
export { maxPool } from './pool';
export { philoxUniform } from './random';
