/**
 * The optimizers' arithmetic in JavaScript, over float32 vectors. It computes in float64 in the order of operations of PyTorch's
 * single-tensor implementations and rounds each stored value once. Updates change elements [from, to) of their vectors in place.
 */

export interface AdamCoefficients {
  readonly beta1: number;
  readonly beta2: number;
  /** lr / (1 - beta1^t) */
  readonly stepSize: number;
  /** sqrt(1 - beta2^t) */
  readonly correction: number;
  readonly epsilon: number;
  /** This multiple of the parameter is added to the gradient. */
  readonly coupledDecay: number;
  /** The parameter is multiplied by 1 - decoupledDecay before the update. */
  readonly decoupledDecay: number;
}

/** Copies `values` into `into`, which has as many elements, or into a new vector, and returns the copy. */
export function copyOf(values: Float32Array, into?: Float32Array): Float32Array {
  if (!into) return values.slice();
  into.set(values);
  return into;
}

/**
 * Applies one update of torch.optim.Adam or AdamW (Loshchilov & Hutter 2019) to the parameters `p`, the first moments `m` and the
 * second moments `v`.
 */
export function updateAdam(
  p: Float32Array,
  m: Float32Array,
  v: Float32Array,
  gradient: Float32Array,
  [from, to]: readonly [number, number],
  { beta1, beta2, stepSize, correction, epsilon, coupledDecay, decoupledDecay }: AdamCoefficients,
): void {
  const kept = 1 - decoupledDecay;
  for (let i = from; i < to; i++) {
    const old = (p[i] as number) * kept;
    const g = (gradient[i] as number) + coupledDecay * old;
    const first = (m[i] as number) + (1 - beta1) * (g - (m[i] as number));
    const second = (v[i] as number) * beta2 + (1 - beta2) * g * g;
    m[i] = first;
    v[i] = second;
    p[i] = old - (stepSize * first) / (Math.sqrt(second) / correction + epsilon);
  }
}

export interface SgdCoefficients {
  readonly learningRate: number;
  readonly momentum: number;
  readonly dampening: number;
  readonly nesterov: boolean;
  readonly decay: number;
}

/**
 * Applies one update of torch.optim.SGD: b = momentum * b + (1 - dampening) * g and p -= lr * b, or p -= lr * (g + momentum * b)
 * with Nesterov's momentum. `first` is true at step 1, where PyTorch sets b = g. Without momentum `b` does not change.
 */
export function updateSgd(
  p: Float32Array,
  b: Float32Array,
  gradient: Float32Array,
  [from, to]: readonly [number, number],
  first: boolean,
  { learningRate, momentum, dampening, nesterov, decay }: SgdCoefficients,
): void {
  for (let i = from; i < to; i++) {
    const old = p[i] as number;
    let g = (gradient[i] as number) + decay * old;
    if (momentum > 0) {
      const buffer = first ? g : momentum * (b[i] as number) + (1 - dampening) * g;
      b[i] = buffer;
      g = nesterov ? g + momentum * buffer : buffer;
    }
    p[i] = old - learningRate * g;
  }
}

/** Sets average = decay * average + (1 - decay) * values, computed as a lerp like torch.optim.swa_utils. */
export function updateAverage(average: Float32Array, values: Float32Array, decay: number): void {
  for (let i = 0; i < average.length; i++) {
    const held = average[i] as number;
    average[i] = held + (1 - decay) * ((values[i] as number) - held);
  }
}
