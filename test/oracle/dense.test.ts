/** Dense layers beside PyTorch: the engine's kernels against float64, with and without a bias and a ReLU. */

import { readFile } from 'node:fs/promises';
import type { Rank, Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { allocatePinned } from '../../src/shared/memory/pinned-vector.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { composedDense } from '../../src/worker/kernels/composed-dense.js';
import type { Kernels } from '../../src/worker/kernels/kernels.js';
import { engineFor } from '../support/in-process.js';
import { leastDistance, relativeDistance } from '../support/relative-distance.js';

/** Made by dense.py: float64 of PyTorch's autograd, and the distance of PyTorch's float32 from it. */
const file = new URL('./fixtures/dense.safetensors', import.meta.url);
const { tensors, metadata } = decodeSafetensors(await readFile(file), 'dense.safetensors');
const cases = z
  .record(z.string(), z.object({ relu: z.boolean(), errors: z.record(z.string(), z.number()) }))
  .parse(JSON.parse(metadata['cases'] ?? '{}'));

describe('a dense layer on native TensorFlow is as close to float64 as PyTorch', () => {
  let engine: Engine;
  let kernels: Kernels;
  beforeAll(async () => {
    engine = await engineFor('tensorflow');
    kernels = kernelsOf(engine);
    expect(kernels.name).toContain('own');
  });

  const names = Object.keys(cases);
  expect(names.length).toBeGreaterThan(0);
  describe.each(['its own ops', 'the composed kernels'])('with %s', (implementation) => {
    it.each(names)('%s', (name) => {
      const { tf } = engine;
      const { relu, errors } = cases[name] as (typeof cases)[string];
      const given = <T extends Tensor>(part: string): T | undefined => {
        const found = tensors.get(`${name}_${part}`);
        return found && (tf.tensor(Array.from(found.values), [...found.shape], 'float32') as T);
      };
      tf.tidy(() => {
        const [x, dy, matrix] = [given('x'), given('dy'), given('w')] as [Tensor, Tensor, Tensor2D];
        const bias = given<Tensor1D>('b');
        const parameters = { matrix, bias, activation: relu ? 'relu' : 'linear' } as const;
        const own = implementation === 'its own ops';
        const pass = own ? kernels.dense(x, parameters) : composedDense(tf, kernels, x, parameters);
        const wanted = { input: true, bias: bias !== undefined };
        const { dz, dx, dBias } = pass.gradients(dy, wanted);
        const gradient = kernels.denseGradient(tf.reshape<Rank.R2>(x, [-1, matrix.shape[0]]), dz);
        const ofMatrix = allocatePinned(matrix.size);
        if (typeof gradient === 'function') gradient(ofMatrix);
        else ofMatrix.set(gradient.dataSync<'float32'>());
        expect(pass.y.shape).toEqual(dy.shape);
        expect(dx?.shape).toEqual(x.shape);
        const results: Record<string, ArrayLike<number>> = {
          y: pass.y.dataSync(),
          gx: (dx as Tensor).dataSync(),
          gw: ofMatrix,
          ...(dBias ? { gb: dBias.dataSync() } : {}),
        };
        expect(Object.keys(results).sort()).toEqual(Object.keys(errors).sort());
        for (const [part, values] of Object.entries(results))
          expect(relativeDistance(tensors, values, `${name}_${part}_64`), part).toBeLessThan(
            Math.max(2 * (errors[part] ?? 0), leastDistance),
          );
        const added = pass.gradients(dy, { ...wanted, addend: x }).dx as Tensor;
        expect(added.dataSync()).toEqual(tf.add(x, dx as Tensor).dataSync());
      });
    });
  });

  it('passes on a NaN and an infinity', () => {
    engine.tf.tidy(() => {
      const { tf } = engine;
      const parameters = { matrix: tf.eye(2), bias: undefined, activation: 'relu' } as const;
      const y = kernels.dense(tf.tensor2d([NaN, 1, Infinity, 1], [2, 2]), parameters).y.dataSync();
      expect(y[0]).toBeNaN();
      expect(y[2]).toBe(Infinity);
    });
  });
});
