/** Matrix products: those of Dense layers in each precision, and the batched ones of recorded layers. */

import { allocatePinned } from '../../../shared/memory/pinned-vector.js';
import type { Rank, Tensor2D } from '@tensorflow/tfjs-core';
import { normal, precisions, times, type NumericsCase, type NumericsContext } from '../numerics-case.js';
import { differentiable } from './differentiable.js';

/** Rows, summed-over length and columns. Odd lengths need padding where a library packs pairs of bfloat16. */
const sizes: readonly (readonly [rows: number, inner: number, columns: number])[] = [
  [1, 1, 1],
  [1, 16, 16],
  [3, 17, 5],
  [8, 33, 17],
  [33, 100, 8],
  [32, 256, 64],
];

/** Samples, inputs and outputs of a Dense layer: in whole groups of 16 for Lockstep's op, and others. */
const layers: readonly (readonly [rows: number, inputs: number, outputs: number])[] = [
  [1, 16, 32],
  [5, 48, 16],
  [32, 256, 64],
  [1, 1, 1],
  [3, 17, 5],
  [33, 8, 10],
];

const transposes = [
  { name: 'a * b', a: false, b: false },
  { name: "a' * b", a: true, b: false },
  { name: "a * b'", a: false, b: true },
] as const;

export function productCases(context: NumericsContext): NumericsCase[] {
  return [
    ...matMulCases(context),
    ...denseLayerCases(context),
    ...denseGradientCases(context),
    ...batchedCases(context),
  ];
}

function matMulCases({ tf, kernels }: NumericsContext): NumericsCase[] {
  return precisions.flatMap((precision) =>
    sizes.flatMap(([rows, inner, columns]) =>
      transposes.map(({ name, a, b }): NumericsCase => {
        const left: [number, number] = a ? [inner, rows] : [rows, inner];
        const right: [number, number] = b ? [columns, inner] : [inner, columns];
        return {
          operation: `matMul ${name}`,
          shapes: `${times(left)} * ${times(right)}`,
          precision,
          prepare: () => {
            const used = kernels[precision];
            const [x, y] = [normal<Rank.R2>(tf, left, 1), normal<Rank.R2>(tf, right, 2)];
            return () => [used.matMul(used.operand(x), used.operand(y), a, b)];
          },
        };
      }),
    ),
  );
}

/** With a ReLU and without, and with a second gradient of the same input, which the product adds. */
function denseLayerCases({ tf, kernels }: NumericsContext): NumericsCase[] {
  const variants = [
    { activation: 'linear', adds: false },
    { activation: 'linear', adds: true },
    { activation: 'relu', adds: false },
    { activation: 'relu', adds: true },
  ] as const;
  return variants.flatMap(({ activation, adds }) =>
    layers.map(([rows, inputs, outputs]): NumericsCase => ({
      operation: `dense layer, ${activation}${adds ? ', two gradients' : ''}`,
      shapes: `${times([rows, inputs])} * ${times([inputs, outputs])}`,
      precision: 'float32',
      prepare: () => {
        const x = normal<Rank.R2>(tf, [rows, inputs], 1);
        const matrix = normal<Rank.R2>(tf, [inputs, outputs], 2);
        const bias = normal<Rank.R1>(tf, [outputs], 3);
        const dy = normal<Rank.R2>(tf, [rows, outputs], 4);
        const addend = adds ? normal<Rank.R2>(tf, [rows, inputs], 5) : undefined;
        return () => {
          const pass = kernels.float32.dense(x, { matrix, bias, activation });
          const { dz, dx, dBias } = pass.gradients(dy, { input: true, bias: true, addend });
          return [pass.y, dz, ...(dx ? [dx] : []), ...(dBias ? [dBias] : [])];
        };
      },
    })),
  );
}

/** In whole groups of 16 by Lockstep's op, else by TensorFlow's. */
function denseGradientCases({ tf, kernels }: NumericsContext): NumericsCase[] {
  return precisions.flatMap((precision) =>
    layers.map(([rows, inputs, outputs]): NumericsCase => ({
      operation: 'dense gradient',
      shapes: `${times([rows, inputs])}, ${times([rows, outputs])}`,
      precision,
      prepare: () => {
        const x: Tensor2D = normal<Rank.R2>(tf, [rows, inputs], 1);
        const dy: Tensor2D = normal<Rank.R2>(tf, [rows, outputs], 2);
        const target = allocatePinned(inputs * outputs);
        return () => {
          const gradient = kernels[precision].denseGradient(x, dy);
          if (typeof gradient !== 'function') return [gradient];
          target.fill(Number.NaN);
          gradient(target);
          return [target];
        };
      },
    })),
  );
}

/** tfjs's own matMul, as recurrent and other recorded layers call it. */
function batchedCases(context: NumericsContext): NumericsCase[] {
  return sizes.map(([rows, inner, columns], i) => {
    const batch = (i % 2) + 1;
    return differentiable(
      context,
      'tf.matMul and its gradients',
      [
        [batch, rows, inner],
        [batch, inner, columns],
      ],
      (a, b) => context.tf.matMul(a, b),
    );
  });
}
