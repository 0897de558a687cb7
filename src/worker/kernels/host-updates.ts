/**
 * The optimizers' arithmetic in JavaScript, over float32 vectors: computed in float64, rounded once a stored value, in the
 * order of operations of PyTorch's single-tensor implementations. Changes its vectors in place; elements [from, to) only.
 */

export interface AdamCoefficients {
  readonly beta1: number;
  readonly beta2: number;
  /** lr / (1 - beta1^t) */
  readonly stepSize: number;
  /** sqrt(1 - beta2^t) */
  readonly correction: number;
  readonly epsilon: number;
  /** Added to the gradient, times the parameter. */
  readonly coupledDecay: number;
  /** The parameter shrinks by this part before the update. */
  readonly decoupledDecay: number;
}

/** In `into`, which has as many elements, or in a new vector. */
export function copyOf(values: Float32Array, into?: Float32Array): Float32Array {
  if (!into) return values.slice();
  into.set(values);
  return into;
}

/** torch.optim.Adam and AdamW (Loshchilov & Hutter 2019). */
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
 * torch.optim.SGD: b = momentum * b + (1 - dampening) * g, p -= lr * b (nesterov: g + momentum * b). `first`: this is step 1,
 * where PyTorch begins with b = g. `b` is not touched without momentum.
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

/** average = decay * average + (1 - decay) * values, as torch.optim.swa_utils has it (lerp). */
export function updateAverage(average: Float32Array, values: Float32Array, decay: number): void {
  for (let i = 0; i < average.length; i++) {
    const held = average[i] as number;
    average[i] = held + (1 - decay) * ((values[i] as number) - held);
  }
}
