/**
 * Sums with one workgroup per result. Each invocation of a workgroup adds every 64th value, and the 64 partial sums are added in a fixed
 * tree, so the order of the sums depends on the shape alone.
 */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import type { CrossEntropy } from '../kernels.js';
import { workgroupInvocations } from './program.js';
import { int, type Shaders } from './shaders.js';

const lanes = workgroupInvocations;

/** Combines the values that the invocations of a workgroup have put into `parts`; all of them return the result. */
const combineCode = (name: string, combined: string): string => `
  fn ${name}(lane : i32, own : f32) -> f32 {
    parts[lane] = own;
    workgroupBarrier();
    for (var half = ${lanes / 2}; half > 0; half = half / 2) {
      if (lane < half) {
        let a = parts[lane];
        let b = parts[lane + half];
        parts[lane] = ${combined};
      }
      workgroupBarrier();
    }
    let result = parts[0];
    workgroupBarrier();
    return result;
  }
`;
const partsCode = `var<workgroup> parts : array<f32, ${lanes}>;\n`;
const sumCode = combineCode('sumOf', 'a + b');

/** See `Kernels.columnSums`. */
export function columnSums(shaders: Shaders, x: Tensor): Tensor1D {
  const channels = x.shape.at(-1) ?? 1;
  const rows = x.size / channels;
  const program = {
    key: 'lockstepColumnSums',
    inputs: ['x'],
    uniforms: 'rows : i32, channels : i32,',
    invocations: channels * lanes,
    outputShape: [channels],
    // A large dispatch has more workgroups than channels.
    code: `${partsCode}${sumCode}
      fn main(index : i32) {
        let channel = min(index / ${lanes}, uniforms.channels - 1);
        let lane = index % ${lanes};
        var own = 0.0;
        for (var row = lane; row < uniforms.rows; row = row + ${lanes}) {
          own = own + x[row * uniforms.channels + channel];
        }
        let sum = sumOf(lane, own);
        if (lane == 0) { result[channel] = sum; }
      }`,
  };
  return shaders.tensor(shaders.run(program, [x], int(rows, channels)));
}

/** See `Kernels.softmaxCrossEntropy`. */
export function softmaxCrossEntropy(shaders: Shaders, logits: Tensor2D, labels: Tensor1D): CrossEntropy {
  const [rows, classes] = logits.shape;
  const uniforms = 'rows : i32, classes : i32,';
  const values = int(rows, classes);
  const lossProgram = {
    key: 'lockstepCrossEntropy',
    inputs: ['logits', 'labels'],
    uniforms,
    invocations: rows * lanes,
    outputShape: [rows],
    code: `${partsCode}${sumCode}${combineCode('largestOf', 'max(a, b)')}
      fn main(index : i32) {
        let row = min(index / ${lanes}, uniforms.rows - 1);
        let lane = index % ${lanes};
        let start = row * uniforms.classes;
        var own = logits[start];
        for (var c = lane; c < uniforms.classes; c = c + ${lanes}) { own = max(own, logits[start + c]); }
        let largest = largestOf(lane, own);
        own = 0.0;
        for (var c = lane; c < uniforms.classes; c = c + ${lanes}) { own = own + exp(logits[start + c] - largest); }
        let sum = sumOf(lane, own);
        if (lane == 0) { result[row] = log(sum) + (largest - logits[start + labels[row]]); }
      }`,
  };
  const gradientProgram = {
    key: 'lockstepCrossEntropyGradient',
    inputs: ['logits', 'labels', 'losses'],
    uniforms,
    invocations: rows * classes,
    outputShape: [rows, classes],
    code: `
      fn main(index : i32) {
        if (index < uniforms.rows * uniforms.classes) {
          let row = index / uniforms.classes;
          let label = row * uniforms.classes + labels[row];
          // The logarithm of a probability is the difference from the label's logit, minus the loss.
          let probability = exp(logits[index] - logits[label] - losses[row]);
          result[index] = probability - select(0.0, 1.0, index == label);
        }
      }`,
  };
  const losses = shaders.tensor<Tensor1D>(shaders.run(lossProgram, [logits, labels], values));
  const gradient = shaders.tensor<Tensor2D>(shaders.run(gradientProgram, [logits, labels, losses], values));
  return { losses, gradient };
}
