import type { Rank, Tensor4D } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { engineFor } from '../support/in-process.js';

it('the gradient of an upsampled picture sums the gradients of its copies, for every sample', async () => {
  const engine = await engineFor('js');
  kernelsOf(engine);
  const { tf } = engine;
  const picture = tf.zeros<Rank.R4>([2, 2, 2, 1]);
  // Pixel (y, x) of sample n has the gradient 100 n + 4 y + x; each pixel of the input has four copies in the output.
  const gradients = Array.from({ length: 32 }, (_, i) => 100 * Math.floor(i / 16) + (i % 16));
  const scale = tf.tensor4d(gradients, [2, 4, 4, 1]);
  const gradient = tf.grad((x) =>
    tf.image
      .resizeNearestNeighbor(x as Tensor4D, [4, 4])
      .mul(scale)
      .sum(),
  )(picture);
  expect([...gradient.dataSync()]).toEqual([10, 18, 42, 50, 410, 418, 442, 450]);
});
