/** A convolution with dilation 2 and a kernel of 2x2 as an undilated one, whose kernel of 3x3 has zeros between the weights. */

import type { Tensor, Tensor4D, layers } from '@tensorflow/tfjs';
import type { Tensorflow } from './model-case.js';

type Layer = layers.Layer;
type Weight = ReturnType<Layer['addWeight']>;

const filters = 3;

export function spreadConvolution(tf: Tensorflow, padding: 'same' | 'valid'): Layer {
  class SpreadConvolution extends tf.layers.Layer {
    #kernel: Weight | undefined;
    #bias: Weight | undefined;

    override build(shape: number[]): void {
      this.#kernel = this.addWeight(
        'kernel',
        [2, 2, shape.at(-1) ?? 1, filters],
        'float32',
        tf.initializers.zeros(),
      );
      this.#bias = this.addWeight('bias', [filters], 'float32', tf.initializers.zeros());
      this.built = true;
    }

    override computeOutputShape([batch, height = 0, width = 0]: number[]): number[] {
      const smaller = padding === 'same' ? 0 : 2;
      return [batch as number, height - smaller, width - smaller, filters];
    }

    override call(inputs: Tensor | Tensor[]): Tensor {
      return tf.tidy(() => {
        const x = [inputs].flat()[0] as Tensor4D;
        const kernel = this.#kernel?.read() as Tensor4D;
        const between = (tensor: Tensor, axis: number): Tensor => {
          const [first, second] = tf.split(tensor, 2, axis) as [Tensor, Tensor];
          return tf.concat([first, tf.zerosLike(first), second], axis);
        };
        const spread = between(between(kernel, 0), 1) as Tensor4D;
        return tf.conv2d(x, spread, 1, padding).add(this.#bias?.read() as Tensor);
      });
    }

    override getClassName(): string {
      return 'SpreadConvolution';
    }
  }
  return new SpreadConvolution({});
}
