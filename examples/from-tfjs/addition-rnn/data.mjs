/** Questions such as `3+5` and their answers, one-hot encoded by character. */
import * as tf from '@tensorflow/tfjs';

const characters = '0123456789+ ';

function encode(texts, length) {
  const buffer = tf.buffer([texts.length, length, characters.length]);
  for (const [n, text] of texts.entries())
    for (let i = 0; i < length; i++) buffer.set(1, n, i, characters.indexOf(text[i] ?? ' '));
  return buffer.toTensor();
}

/** Every sum of two digits, in an order that mixes large and small ones. */
export function additionData(trainCount) {
  const sums = Array.from({ length: 100 }, (_, i) => {
    const n = (i * 37) % 100;
    return [Math.floor(n / 10), n % 10];
  });
  const tensors = (part) => [
    encode(
      part.map(([a, b]) => `${a}+${b}`),
      3,
    ),
    encode(
      part.map(([a, b]) => String(a + b)),
      2,
    ),
  ];
  return [...tensors(sums.slice(0, trainCount)), ...tensors(sums.slice(trainCount))];
}
