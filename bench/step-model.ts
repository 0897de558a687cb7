/**
 * Analytical model of a training step: compute, a sequence of small all-reduces, and gradient all-reduces that partly overlap with
 * compute. It uses the cost model and algorithm selection of the collectives (src/shared/collectives/cost.ts). Stragglers are not
 * modeled: a real step waits for the slowest worker.
 */
import {
  direct,
  inTwoLevels,
  totalUs,
  twoLevels,
  type Cluster,
  type Cost,
  type Load,
  type Network,
} from '../src/shared/collectives/cost.js';
import { oneHopBytes } from '../src/shared/collectives/mesh.js';

export interface Training {
  /** Time in milliseconds of one worker's forward pass, backward pass and update. */
  readonly computeMs: number;
  readonly gradientBytes: number;
  readonly bucketBytes: number;
  /** Sizes in bytes of the vectors that are all-reduced one after the other: BatchNorm's, forward and backward. */
  readonly vectors: readonly number[];
  /** Fraction of the compute time that can overlap with gradient communication, which starts during the backward pass. */
  readonly overlap: number;
  /** True if the communicator thread has a core of its own; otherwise its CPU time is added to the step. */
  readonly ownCore: boolean;
  /** Time in microseconds of a small all-reduce through shared memory; undefined if workers do not share memory. */
  readonly sharedVectorUs?: number;
}

export type GradientDtype = 'float32' | 'bfloat16';
export type Algorithm = 'none' | 'shared memory' | 'one hop' | 'direct' | 'two levels, small' | 'two levels';

export interface Prediction {
  readonly vectors: readonly Algorithm[];
  readonly gradients: Algorithm;
  readonly stepMs: number;
  readonly efficiency: number;
  /** Communication time in milliseconds, by cause. */
  readonly vectorMs: number;
  readonly messagesMs: number;
  readonly wireMs: number;
}

const channels = [32, 32, 64, 64, 512, 512];

/** The MNIST ConvNet: 1.94 million parameters, six BatchNorm layers. */
export const recipe = {
  gradientBytes: 7_778_728,
  bucketBytes: 524_288,
  // Forward [count, mean, M2] and backward two sums, in float64; then the loss.
  vectors: [...channels.flatMap((count) => [8 * (1 + 2 * count), 16 * count]), 8],
  overlap: 0.5,
} as const;

function usesTwoLevels(cluster: Cluster, load: Load): boolean {
  const sizes = Array.from({ length: cluster.hosts }, () => cluster.local);
  return inTwoLevels('auto', sizes, load);
}

function algorithmOf({ hosts, local }: Cluster, small: boolean, two: boolean): Algorithm {
  if (hosts * local === 1) return 'none';
  if (two) return small ? 'two levels, small' : 'two levels';
  return small ? 'one hop' : 'direct';
}

/** Returns the algorithm that workers select for one vector, and its cost. */
export function vectorCost(
  cluster: Cluster,
  bytes: number,
  net: Network,
): { algorithm: Algorithm; cost: Cost } {
  const load = { bytes, buckets: 1, small: bytes <= oneHopBytes };
  const two = usesTwoLevels(cluster, load);
  return {
    algorithm: algorithmOf(cluster, load.small, two),
    cost: (two ? twoLevels : direct)(cluster, load, net),
  };
}

/** Returns the algorithm that workers select for a bucket, and the cost of all gradient buckets with it. */
export function gradientCost(
  cluster: Cluster,
  { gradientBytes, bucketBytes }: Pick<Training, 'gradientBytes' | 'bucketBytes'>,
  gradientDtype: GradientDtype,
  net: Network,
): { algorithm: Algorithm; cost: Cost } {
  const two = usesTwoLevels(cluster, { bytes: bucketBytes, buckets: 1, small: bucketBytes <= oneHopBytes });
  const buckets = Math.ceil(gradientBytes / bucketBytes);
  // bfloat16 halves the bytes between hosts; inside a host, shared memory holds float32.
  const wire = gradientDtype === 'bfloat16' ? { ...net, linkBytesPerUs: 2 * net.linkBytesPerUs } : net;
  const cost = (two ? twoLevels : direct)(cluster, { bytes: gradientBytes, buckets, small: false }, wire);
  return { algorithm: algorithmOf(cluster, false, two), cost };
}

export function predict(
  cluster: Cluster,
  training: Training,
  gradientDtype: GradientDtype,
  net: Network,
): Prediction {
  const { computeMs, vectors, overlap, ownCore, sharedVectorUs } = training;
  const sharedUs = cluster.hosts === 1 ? sharedVectorUs : undefined;
  const each = vectors.map((bytes): { algorithm: Algorithm; us: number } => {
    if (sharedUs !== undefined) return { algorithm: 'shared memory', us: sharedUs };
    const { algorithm, cost } = vectorCost(cluster, bytes, net);
    return { algorithm, us: totalUs(cost) };
  });
  const vectorMs = each.reduce((sum, { us }) => sum + us, 0) / 1_000;
  const { algorithm, cost } = gradientCost(cluster, training, gradientDtype, net);
  const messagesMs = cost.messagesUs / 1_000;
  const wireMs = (totalUs(cost) - cost.messagesUs) / 1_000;
  const overlapMs = overlap * computeMs;
  const exposed = ownCore
    ? Math.max(0, messagesMs + wireMs - overlapMs)
    : messagesMs + Math.max(0, wireMs - overlapMs);
  const stepMs = computeMs + vectorMs + exposed;
  const algorithms = [...new Set(each.map((vector) => vector.algorithm))];
  return {
    vectors: algorithms,
    gradients: algorithm,
    stepMs,
    efficiency: computeMs / stepMs,
    vectorMs,
    messagesMs,
    wireMs,
  };
}

/** Fits y = intercept + slope * x by least squares of the relative error, so that every world size has the same weight. */
export function fit(points: readonly (readonly [number, number])[]): { intercept: number; slope: number } {
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  for (const [x, y] of points) {
    const weight = 1 / y ** 2;
    [w, wx, wy] = [w + weight, wx + weight * x, wy + weight * y];
    [wxx, wxy] = [wxx + weight * x * x, wxy + weight * x * y];
  }
  const slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
  return { intercept: (wy - slope * wx) / w, slope };
}
