/**
 * The stage `oracle`: the loss and the gradients of one step on the GPU against those of `--engine wasm`. One step of plain SGD with a
 * large rate leaves the gradients in the weights.
 */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { StageFailure, type GpuCheck, type Row, type Stage } from '../stage.js';
import { onGpu, train } from '../training.js';

/** Largest difference of a gradient, relative to the largest element of its tensor. */
const gradientTolerance = 1e-4;
const lossTolerance = 1e-5;
/** A tensor whose exact gradient is zero, such as a bias before a BatchNorm, has only rounding errors. Those are compared with this part of the largest gradient of all. */
const smallestScale = 1e-3;

export const oracleStage: Stage = {
  name: 'oracle',
  title: 'The gradients of the first step are those of WebAssembly',
  seconds: 35,
  needsAdapter: true,
  run: async (check, signal) => {
    const [expected, got] = [
      await firstStep(check, 'wasm', signal),
      await firstStep(check, 'webgpu', signal),
    ];
    const lossDifference = Math.abs(got.loss - expected.loss);
    const { difference, name } = largestDifference(expected.tensors, got.tensors);
    const rows: Row[] = [
      ['loss, wasm', String(expected.loss)],
      ['loss, webgpu', `${got.loss}, difference ${lossDifference.toExponential(1)}`],
      ['largest relative difference of a gradient', `${difference.toExponential(1)}, in ${name}`],
    ];
    if (!(lossDifference < lossTolerance && difference < gradientTolerance))
      throw new StageFailure(
        `expected differences below ${lossTolerance} in the loss and ${gradientTolerance} in the gradients`,
        rows,
      );
    return rows;
  },
};

interface FirstStep {
  readonly loss: number;
  readonly tensors: readonly NamedTensor[];
}

interface NamedTensor {
  readonly name: string;
  readonly values: Float32Array;
}

async function firstStep({ sizes, work }: GpuCheck, engine: string, signal: AbortSignal): Promise<FirstStep> {
  const out = path.join(work, `oracle-${engine}`);
  const { losses } = await train({
    check: `${sizes.network},gradient`,
    options: {
      ...onGpu,
      engine,
      'single-process': true,
      shards: 2,
      'max-steps': 1,
      'batch-size': Math.min(sizes.batch, 16),
      out,
    },
    signal,
  });
  return { loss: losses[0] ?? Number.NaN, tensors: readWeights(path.join(out, 'model')) };
}

/** Reads the weights of a model in tfjs's format, whose tensors are all of float32. */
function readWeights(folder: string): NamedTensor[] {
  const { weightsManifest } = JSON.parse(readFileSync(path.join(folder, 'model.json'), 'utf8')) as {
    weightsManifest: { weights: { name: string; shape: number[] }[] }[];
  };
  const bytes = readFileSync(path.join(folder, 'weights.bin'));
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  let offset = 0;
  return weightsManifest.flatMap(({ weights }) =>
    weights.map(({ name, shape }) => {
      const count = shape.reduce((product, size) => product * size, 1);
      offset += count;
      return { name, values: all.subarray(offset - count, offset) };
    }),
  );
}

const largest = (values: Float32Array): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Returns the largest difference of an element, relative to the largest element of its tensor. */
export function largestDifference(
  expected: readonly NamedTensor[],
  got: readonly NamedTensor[],
): { difference: number; name: string } {
  const floor = smallestScale * Math.max(...expected.map(({ values }) => largest(values)));
  let result = { difference: 0, name: 'none' };
  for (const [at, { name, values }] of expected.entries()) {
    const other = got[at];
    if (other?.name !== name || other.values.length !== values.length)
      return { difference: Number.NaN, name };
    const difference = largest(values.map((value, i) => value - (other.values[i] ?? Number.NaN)));
    const relative = difference / Math.max(largest(values), floor);
    if (Number.isNaN(relative)) return { difference: relative, name };
    if (relative > result.difference) result = { difference: relative, name };
  }
  return result;
}
