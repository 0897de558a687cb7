/**
 * Arithmetic of the optimizers rmsprop, adagrad, adadelta and adamax in JavaScript, over float32 vectors, by the rules of PyTorch's
 * single-tensor implementations or of tfjs's optimizers. It computes in float64 and rounds each stored value once. Updates change
 * elements [from, to) of their vectors in place.
 */

export interface RateAndDecay {
  readonly learningRate: number;
  /** This multiple of the parameter is added to the gradient. */
  readonly decay: number;
}

type Range = readonly [from: number, to: number];

/** True where tfjs's rule applies: epsilon is added under the root, and other differences that each function states. */
interface RuleOfTfjs {
  readonly ofTfjs: boolean;
}

export interface RmspropVectors {
  readonly weights: Float32Array;
  /** Mean square of the gradient. */
  readonly square: Float32Array;
  /** Mean of the gradient; undefined if the rule is not centered. */
  readonly mean: Float32Array | undefined;
  /** Undefined without momentum. */
  readonly momentum: Float32Array | undefined;
}

/**
 * Applies one update of torch.optim.RMSprop or tf.train.rmsprop (Tieleman & Hinton 2012). tfjs's momentum contains the learning rate.
 * Its centered rule takes epsilon away from the variance, as its source does.
 */
export function updateRmsprop(
  { weights, square, mean, momentum }: RmspropVectors,
  gradient: Float32Array,
  [from, to]: Range,
  rule: RateAndDecay &
    RuleOfTfjs & { readonly rho: number; readonly momentum: number; readonly epsilon: number },
): void {
  const { learningRate, decay, rho, epsilon, ofTfjs } = rule;
  for (let i = from; i < to; i++) {
    const old = weights[i] as number;
    const g = (gradient[i] as number) + decay * old;
    const s = (square[i] as number) * rho + (1 - rho) * g * g;
    square[i] = s;
    let variance = s;
    if (mean) {
      const m = (mean[i] as number) + (1 - rho) * (g - (mean[i] as number));
      mean[i] = m;
      variance = s - m * m;
    }
    const root = ofTfjs
      ? Math.sqrt(mean ? variance - epsilon : variance + epsilon)
      : Math.sqrt(variance) + epsilon;
    let step = ofTfjs ? (learningRate * g) / root : g / root;
    if (momentum) {
      step += rule.momentum * (momentum[i] as number);
      momentum[i] = step;
    }
    weights[i] = old - (ofTfjs ? step : learningRate * step);
  }
}

/** Applies one update of torch.optim.Adagrad or tf.train.adagrad (Duchi et al. 2011). `sum` has the squares of all gradients. */
export function updateAdagrad(
  weights: Float32Array,
  sum: Float32Array,
  gradient: Float32Array,
  [from, to]: Range,
  { learningRate, decay, epsilon, ofTfjs }: RateAndDecay & RuleOfTfjs & { readonly epsilon: number },
): void {
  for (let i = from; i < to; i++) {
    const old = weights[i] as number;
    const g = (gradient[i] as number) + decay * old;
    const s = (sum[i] as number) + g * g;
    sum[i] = s;
    const root = ofTfjs ? Math.sqrt(s + epsilon) : Math.sqrt(s) + epsilon;
    weights[i] = old - (learningRate * g) / root;
  }
}

/**
 * Applies one update of torch.optim.Adadelta or tf.train.adadelta (Zeiler 2012) with the mean squares of gradients and of updates. tfjs
 * divides by the mean square of the gradients before this step.
 */
export function updateAdadelta(
  weights: Float32Array,
  square: Float32Array,
  updates: Float32Array,
  gradient: Float32Array,
  [from, to]: Range,
  rule: RateAndDecay & RuleOfTfjs & { readonly rho: number; readonly epsilon: number },
): void {
  const { learningRate, decay, rho, epsilon, ofTfjs } = rule;
  for (let i = from; i < to; i++) {
    const old = weights[i] as number;
    const g = (gradient[i] as number) + decay * old;
    const before = square[i] as number;
    const s = before * rho + (1 - rho) * g * g;
    const u = updates[i] as number;
    const step = (Math.sqrt(u + epsilon) / Math.sqrt((ofTfjs ? before : s) + epsilon)) * g;
    square[i] = s;
    updates[i] = u * rho + (1 - rho) * step * step;
    weights[i] = old - learningRate * step;
  }
}

/**
 * Applies one update of torch.optim.Adamax or tf.train.adamax (Kingma & Ba 2015) with the first moment and the decaying maximum of the
 * gradient. PyTorch adds epsilon to the gradient's absolute value, tfjs to the maximum.
 * @param rule `stepSize` is the learning rate / (1 - beta1^t)
 */
export function updateAdamax(
  weights: Float32Array,
  first: Float32Array,
  norm: Float32Array,
  gradient: Float32Array,
  [from, to]: Range,
  rule: RuleOfTfjs & {
    readonly stepSize: number;
    readonly decay: number;
    readonly beta1: number;
    readonly beta2: number;
    readonly epsilon: number;
  },
): void {
  const { stepSize, decay, beta1, beta2, epsilon, ofTfjs } = rule;
  for (let i = from; i < to; i++) {
    const old = weights[i] as number;
    const g = (gradient[i] as number) + decay * old;
    const m = (first[i] as number) + (1 - beta1) * (g - (first[i] as number));
    const size = Math.abs(g) + (ofTfjs ? 0 : epsilon);
    const n = Math.max((norm[i] as number) * beta2, size);
    first[i] = m;
    norm[i] = n;
    weights[i] = old - (stepSize * m) / (ofTfjs ? n + epsilon : n);
  }
}
