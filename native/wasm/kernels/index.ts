/**
 * Exports of the WebAssembly module of kernels (src/worker/kernels/wasm/module.ts). The module has no state and no
 * memory of its own: it works on the heap of tfjs's WebAssembly backend, and every call passes addresses and sizes.
 * Addresses are multiples of 4 and, unless a function states otherwise, buffers do not overlap.
 */

export { packPanels } from './panels';
export { multiply, multiplyTransposed } from './matrix';
export { convolve, filterGradient, packRotatedFilter } from './convolution';
export { columnSums, moments, normalize, normalizeAndPool } from './batch-norm';
export { gradientSums, inputGradient, pooledGradientSums, pooledInputGradient } from './batch-norm-gradient';
export { adam, biasAdd, relu, reluGradient } from './elementwise';
export { hash } from './hash';
export { softmaxCrossEntropy } from './loss';
export { maxPool } from './pool';
export { philoxUniform } from './random';
export { recurrenceBackward, recurrenceForward } from './recurrence';
