/** Fisher's iris flowers: 120 for training and 30 for validation, the classes in turn. */
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs';

const lines = readFileSync(new URL('iris.csv', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .slice(1);
const rows = lines.map((line) => line.split(',').map(Number));

export function irisData(trainCount) {
  const tensors = (part) => [
    tf.tensor2d(part.map((row) => row.slice(0, 4))),
    tf.oneHot(
      tf.tensor1d(
        part.map((row) => row[4]),
        'int32',
      ),
      3,
    ),
  ];
  return [...tensors(rows.slice(0, trainCount)), ...tensors(rows.slice(trainCount))];
}
