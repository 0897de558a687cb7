/**
 * Registers Lockstep's kernels with tfjs's WebAssembly backend, so that every layer runs and trains on it:
 * - convolutions, matrix products and max-pools on Lockstep's module; XNNPACK, which the backend uses, selects its kernels by the
 *   processor;
 * - gradients that the backend has no kernel for, among them that of an Embedding;
 * - MaxPoolGrad; the backend's own gives no gradient to a maximum that is not positive.
 */

import type { NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core';
import { EngineError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import { replaceKernel } from '../tfjs-kernels.js';
import { borrowForWasm } from './borrowed.js';
import type { ConvGeometry, PoolGeometry } from './geometry.js';
import { WasmModule } from './module.js';
import { maxPool, maxPoolGradient } from './pool.js';
import { segmentSum } from './segment-sum.js';
import { convolve, filterGradient, inputGradient, multiply } from './products.js';

type Inputs = Readonly<Record<string, TensorInfo | undefined>>;
type Attributes = unknown;
type KernelFunction = (call: { inputs: Inputs; attrs: Attributes; backend: object }) => TensorInfo;

/** Attributes of tfjs's convolutions (tfjs-core's Conv2DAttrs and its gradients'). */
interface ConvAttributes {
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number;
  readonly dataFormat: 'NHWC' | 'NCHW';
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
  readonly filterShape?: [number, number, number, number];
  readonly inputShape?: [number, number, number, number];
}
interface PoolAttributes {
  readonly filterSize: [number, number] | number;
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}
interface FusedAttributes {
  readonly activation?: string;
  readonly leakyreluAlpha?: number;
}
interface ProductAttributes {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** The backend's kernels, by the names of fused activations. */
const activations: Readonly<Record<string, string>> = {
  relu: 'Relu',
  relu6: 'Relu6',
  elu: 'Elu',
  sigmoid: 'Sigmoid',
  leakyrelu: 'LeakyRelu',
  prelu: 'Prelu',
};

/**
 * Replaces the kernels of the current backend, which must be tfjs's WebAssembly backend.
 * @throws EngineError if the module is not built
 */
export function registerWasmKernels(tf: Tensorflow): void {
  const module = WasmModule.of(tf);
  const register = (name: string, kernelFunc: KernelFunction): void => {
    replaceKernel(tf, { kernelName: name, backendName: 'wasm', kernelFunc: kernelFunc as never });
  };
  /** Adds the bias and applies the activation of a fused kernel. Frees the intermediate results. */
  const finish = (result: TensorInfo, call: Parameters<KernelFunction>[0]): TensorInfo => {
    const { bias, preluActivationWeights: alpha } = call.inputs;
    const { activation = 'linear', leakyreluAlpha } = call.attrs as FusedAttributes;
    const then = (name: string, inputs: Inputs, attrs: object): void => {
      const kernel = tf.getKernel(name, 'wasm');
      const next = kernel.kernelFunc({
        inputs: inputs,
        attrs: attrs as NamedAttrMap,
        backend: call.backend,
      });
      tf.backend().disposeData(result.dataId);
      result = next as TensorInfo;
    };
    if (bias) then('Add', { a: result, b: bias }, {});
    const name = activations[activation];
    if (name === 'Prelu') then(name, { x: result, alpha }, {});
    else if (name !== undefined) then(name, { x: result }, { alpha: leakyreluAlpha });
    return result;
  };

  const product: KernelFunction = ({ inputs, attrs }) => {
    const { transposeA, transposeB } = attrs as ProductAttributes;
    const [a, b] = [inputs['a'] as TensorInfo, inputs['b'] as TensorInfo];
    checkFactors(tf, a.shape, b.shape, transposeA, transposeB);
    return multiply(module, a, b, transposeA, transposeB);
  };
  const convolution: KernelFunction = ({ inputs, attrs }) => {
    const [x, filter] = [inputs['x'] as TensorInfo, inputs['filter'] as TensorInfo];
    return convolve(module, x, filter, geometry(tf, x.shape, filter.shape, attrs as ConvAttributes));
  };
  register('BatchMatMul', product);
  register('_FusedMatMul', (call) => finish(product(call), call));
  register('Conv2D', convolution);
  register('FusedConv2D', (call) => finish(convolution(call), call));
  register('Conv2DBackpropFilter', ({ inputs, attrs }) => {
    const [x, dy] = [inputs['x'] as TensorInfo, inputs['dy'] as TensorInfo];
    const conv = attrs as ConvAttributes;
    return filterGradient(module, x, dy, geometry(tf, x.shape, conv.filterShape ?? [], conv));
  });
  register('Conv2DBackpropInput', ({ inputs, attrs }) => {
    const [dy, filter] = [inputs['dy'] as TensorInfo, inputs['filter'] as TensorInfo];
    const conv = attrs as ConvAttributes;
    return inputGradient(module, filter, dy, geometry(tf, conv.inputShape ?? [], filter.shape, conv));
  });
  register('MaxPool', ({ inputs, attrs }) => {
    const x = inputs['x'] as TensorInfo;
    return maxPool(module, x, poolGeometry(tf, x.shape, attrs as PoolAttributes));
  });
  register('MaxPoolGrad', ({ inputs, attrs }) => {
    const [x, dy] = [inputs['input'] as TensorInfo, inputs['dy'] as TensorInfo];
    return maxPoolGradient(module, x, dy, poolGeometry(tf, x.shape, attrs as PoolAttributes));
  });
  register('UnsortedSegmentSum', ({ inputs, attrs }) => {
    const [x, ids] = [inputs['x'] as TensorInfo, inputs['segmentIds'] as TensorInfo];
    return segmentSum(module, x, ids, (attrs as { numSegments: number }).numSegments);
  });
  borrowForWasm(tf);
}

/** Throws an error like tfjs's unless the matrices can be multiplied. */
function checkFactors(
  tf: Tensorflow,
  a: readonly number[],
  b: readonly number[],
  transposeA: boolean,
  transposeB: boolean,
): void {
  const inner = [a.at(transposeA ? -2 : -1), b.at(transposeB ? -1 : -2)];
  const outer = [a.slice(0, -2), b.slice(0, -2)].map((shape) => shape.join('x'));
  const isOne = (shape: readonly number[]): boolean => shape.slice(0, -2).every((size) => size === 1);
  tf.util.assert(
    inner[0] === inner[1] && (outer[0] === outer[1] || isOne(a) || isOne(b)),
    () =>
      `matMul: expected factors that can be multiplied, got ${a.join('x')}${transposeA ? ' transposed' : ''} and ` +
      `${b.join('x')}${transposeB ? ' transposed' : ''}.`,
  );
}

function poolGeometry(
  tf: Tensorflow,
  shape: readonly number[],
  { filterSize, strides, pad, dimRoundingMode }: PoolAttributes,
): PoolGeometry {
  const info = tf.backend_util.computePool2DInfo(
    shape as [number, number, number, number],
    filterSize,
    strides,
    1,
    pad,
    dimRoundingMode,
  );
  return {
    images: info.batchSize,
    height: info.inHeight,
    width: info.inWidth,
    channels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    size: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    top: info.padInfo.top,
    left: info.padInfo.left,
  };
}

function geometry(
  tf: Tensorflow,
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dilations = 1, dimRoundingMode, dataFormat }: ConvAttributes,
): ConvGeometry {
  if (dataFormat === 'NCHW')
    throw new EngineError(
      'Convolution in WebAssembly: expected the data format NHWC, got NCHW. Use channelsLast.',
    );
  const info = tf.backend_util.computeConv2DInfo(
    xShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  return {
    images: info.batchSize,
    height: info.inHeight,
    width: info.inWidth,
    channels: info.inChannels,
    outHeight: info.outHeight,
    outWidth: info.outWidth,
    outChannels: info.outChannels,
    kernelHeight: info.filterHeight,
    kernelWidth: info.filterWidth,
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    top: info.padInfo.top,
    left: info.padInfo.left,
  };
}
