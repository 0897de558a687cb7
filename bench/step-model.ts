/**
 * The analytical model of a training step: compute, small collectives that wait for each other, gradients that partly hide
 * behind compute. Pure arithmetic over the collectives' own cost and choice (src/shared/collectives/cost.ts). It knows no
 * stragglers: a real step waits for the slowest worker.
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
  /** Milliseconds of forward, backward and update of one worker. */
  readonly computeMs: number;
  readonly gradientBytes: number;
  readonly bucketBytes: number;
  /** Bytes of the vectors that are collectived one after the other: BatchNorm's, forward and backward. */
  readonly vectors: readonly number[];
  /** Part of the compute that gradients on the wire can hide behind: they leave while backward goes on. */
  readonly overlap: number;
  /** Whether the communicator has a core that computing doesn't need; else its CPU time comes on top. */
  readonly ownCore: boolean;
  /** Microseconds of a small vector between workers that all share memory, without a message; undefined: none do. */
  readonly sharedVectorUs?: number;
}

export type Collective = 'float32' | 'bfloat16';
export type Way = 'none' | 'shared memory' | 'one hop' | 'direct' | 'two levels, small' | 'two levels';

export interface Prediction {
  readonly vectors: readonly Way[];
  readonly gradients: Way;
  readonly stepMs: number;
  readonly efficiency: number;
  /** Milliseconds that are not compute, by what they are spent on. */
  readonly vectorMs: number;
  readonly messagesMs: number;
  readonly wireMs: number;
}

const channels = [32, 32, 64, 64, 512, 512];

/** The recipe's network: 1.94 million parameters, six BatchNorms. */
export const recipe = {
  gradientBytes: 7_778_728,
  bucketBytes: 524_288,
  // [count, mean, M2] forward, two sums backward, in float64; and the loss.
  vectors: [...channels.flatMap((count) => [8 * (1 + 2 * count), 16 * count]), 8],
  overlap: 0.5,
} as const;

function chosen(cluster: Cluster, load: Load): boolean {
  const sizes = Array.from({ length: cluster.hosts }, () => cluster.local);
  return inTwoLevels('auto', sizes, load);
}

function wayOf({ hosts, local }: Cluster, small: boolean, two: boolean): Way {
  if (hosts * local === 1) return 'none';
  if (two) return small ? 'two levels, small' : 'two levels';
  return small ? 'one hop' : 'direct';
}

/** The cost of one vector and its way, as every worker would choose it. */
export function vectorCost(cluster: Cluster, bytes: number, net: Network): { way: Way; cost: Cost } {
  const load = { bytes, buckets: 1, small: bytes <= oneHopBytes };
  const two = chosen(cluster, load);
  return { way: wayOf(cluster, load.small, two), cost: (two ? twoLevels : direct)(cluster, load, net) };
}

/** Of all gradients, in buckets, each of which goes the way that a bucket is expected to be fastest. */
export function gradientCost(
  cluster: Cluster,
  { gradientBytes, bucketBytes }: Pick<Training, 'gradientBytes' | 'bucketBytes'>,
  collective: Collective,
  net: Network,
): { way: Way; cost: Cost } {
  const two = chosen(cluster, { bytes: bucketBytes, buckets: 1, small: bucketBytes <= oneHopBytes });
  const buckets = Math.ceil(gradientBytes / bucketBytes);
  // Between hosts half as many bytes; inside a host, where memory is shared, as many.
  const wire = collective === 'bfloat16' ? { ...net, linkBytesPerUs: 2 * net.linkBytesPerUs } : net;
  const cost = (two ? twoLevels : direct)(cluster, { bytes: gradientBytes, buckets, small: false }, wire);
  return { way: wayOf(cluster, false, two), cost };
}

export function predict(
  cluster: Cluster,
  training: Training,
  collective: Collective,
  net: Network,
): Prediction {
  const { computeMs, vectors, overlap, ownCore, sharedVectorUs } = training;
  const sharedUs = cluster.hosts === 1 ? sharedVectorUs : undefined;
  const each = vectors.map((bytes): { way: Way; us: number } => {
    if (sharedUs !== undefined) return { way: 'shared memory', us: sharedUs };
    const { way, cost } = vectorCost(cluster, bytes, net);
    return { way, us: totalUs(cost) };
  });
  const vectorMs = each.reduce((sum, { us }) => sum + us, 0) / 1_000;
  const { way, cost } = gradientCost(cluster, training, collective, net);
  const messagesMs = cost.messagesUs / 1_000;
  const wireMs = (totalUs(cost) - cost.messagesUs) / 1_000;
  const hidden = overlap * computeMs;
  const exposed = ownCore
    ? Math.max(0, messagesMs + wireMs - hidden)
    : messagesMs + Math.max(0, wireMs - hidden);
  const stepMs = computeMs + vectorMs + exposed;
  const ways = [...new Set(each.map((one) => one.way))];
  return {
    vectors: ways,
    gradients: way,
    stepMs,
    efficiency: computeMs / stepMs,
    vectorMs,
    messagesMs,
    wireMs,
  };
}

/** Least squares of y = intercept + slope * x, relative to y, so that every size of world counts alike. */
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
