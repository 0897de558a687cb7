import { beforeAll, describe, expect, it } from 'vitest';
import { allocatePinned, type PinnedVector } from '../../src/shared/memory/pinned-vector.js';
import { foldTree, maximalSubtrees } from '../../src/shared/sharding/tree.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { readCounters } from '../../src/worker/engine/webgpu/read-batch.js';
import type { Kernels } from '../../src/worker/kernels/kernels.js';
import { kernelsOf } from '../../src/worker/kernels/choose.js';
import { engineFor } from '../support/in-process.js';
import { gpuTitle, missingGpu } from '../support/software-gpu.js';

const patternsOf = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);
const floatsOf = (patterns: readonly number[]): Float32Array =>
  new Float32Array(Uint32Array.from(patterns).buffer);
/** The pattern, or NaN for each that is not a number. */
const bitsOf = (values: Float32Array): number[] =>
  Array.from(patternsOf(values), (pattern, i) => (Number.isNaN(values[i]) ? Number.NaN : pattern));

/** Numbers with 32 bits from a counter, by the finalizer of MurmurHash3. */
function mixed(counter: number): number {
  let x = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The edges of zeros, subnormal numbers, normal numbers, infinities and NaN, with both signs. */
const edges = [0, 1, 2, 0x7fffff, 0x800000, 0x800001, 0xffffff, 0x1000000, 0x3f800000, 0x3f800001].concat([
  0x4b7fffff, 0x4b800000, 0x4c000001, 0x7f000000, 0x7f7fffff, 0x7f800000, 0x7fc00000,
]);
const signed = edges.flatMap((pattern) => [pattern, (pattern | 0x80000000) >>> 0]);

function pairs(): [Float32Array, Float32Array] {
  const [left, right] = [signed.flatMap((a) => signed.map(() => a)), signed.flatMap(() => signed)];
  for (let i = 0; i < 20_000; i++) {
    const [a, b, c] = [mixed(3 * i + 1), mixed(3 * i + 2), mixed(3 * i + 3)];
    left.push(a);
    // Exponents close to each other round and cancel; equal ones near 0 are subnormal.
    const exponent = Math.max(0, Math.min(254, ((a >>> 23) & 255) + (c % 61) - 30));
    right.push(((b & 0x807fffff) | (exponent << 23)) >>> 0);
    left.push(a & 0x81ffffff);
    right.push(b & 0x81ffffff);
  }
  return [floatsOf(left), floatsOf(right)];
}

describe.skipIf(missingGpu !== undefined)(gpuTitle('sums over shards on the engine webgpu'), () => {
  let engine: Engine;
  let kernels: Kernels;
  beforeAll(async () => {
    engine = await engineFor('webgpu');
    kernels = kernelsOf(engine);
  });

  /** Stores the gradients that are not undefined, completes them, and returns the targets and the bytes that were read. */
  function stored(
    gradients: readonly (Float32Array | undefined)[],
    start: number,
    shards: number,
  ): { targets: PinnedVector[]; bytes: number } {
    const { tf } = engine;
    const targets = gradients.map((gradient) => allocatePinned(gradient?.length ?? 1).fill(7));
    const local = { start, end: start + gradients.length };
    const subtrees = maximalSubtrees(local, shards).map(({ level, index }) => ({
      start: index * 2 ** level - start,
      end: Math.min((index + 1) * 2 ** level, shards) - start,
    }));
    const before = readCounters.bytes;
    tf.tidy(() => {
      for (const [at, gradient] of gradients.entries()) {
        const target = targets[at];
        if (gradient && target)
          kernels.store(tf.tensor1d(gradient), target, undefined, { targets, subtrees });
      }
    });
    kernels.completeStores();
    return { targets: targets, bytes: readCounters.bytes - before };
  }

  it('have the bits of the host, also for subnormal numbers, ties, overflows and values that are no numbers', () => {
    const [left, right] = pairs();
    const expected = left.map((value, i) => value + (right[i] ?? Number.NaN));
    const subnormal = bitsOf(expected).filter((pattern) => (pattern & 0x7fffffff) < 0x800000);
    expect(subnormal.length).toBeGreaterThan(3000);
    const { targets } = stored([left, right], 0, 2);
    const [sum, other] = targets;
    expect(bitsOf(sum ?? left)).toEqual(bitsOf(expected));
    expect(new Set(patternsOf(other ?? left))).toEqual(new Set([0x80000000]));
  });

  it.each([
    { start: 0, count: 6, shards: 6, vectors: 1 },
    { start: 1, count: 6, shards: 8, vectors: 4 },
    { start: 4, count: 3, shards: 7, vectors: 1 },
  ])(
    'follow the fixed tree: shards $start to $start + $count of $shards',
    ({ start, count, shards, vectors }) => {
      const size = 100;
      // Sums of these numbers depend on their order.
      const gradients = Array.from({ length: count }, (_, shard) =>
        Float32Array.from(
          { length: size },
          (_, i) => (mixed(shard * size + i + 1) / 2 ** 31 - 1) * 10 ** (i % 7),
        ),
      );
      const { targets, bytes } = stored(gradients, start, shards);
      for (const node of maximalSubtrees({ start, end: start + count }, shards)) {
        const expected = foldTree(
          node,
          shards,
          ({ level, index }) => (level === 0 ? gradients[index - start] : undefined),
          (a, b) => a.map((value, i) => value + (b[i] ?? Number.NaN)),
        );
        const first = node.index * 2 ** node.level - start;
        expect(bitsOf(targets[first] ?? expected)).toEqual(bitsOf(expected));
      }
      expect(bytes).toBe(vectors * size * 4);
    },
  );

  it('are left to the host if the gradient of a shard is missing', () => {
    const gradient = Float32Array.of(1, 2, 3);
    const { targets, bytes } = stored([gradient, undefined, gradient], 0, 4);
    expect(targets.map((target) => [...target])).toEqual([[1, 2, 3], [7], [1, 2, 3]]);
    expect(bytes).toBe(2 * 12);
  });
});
