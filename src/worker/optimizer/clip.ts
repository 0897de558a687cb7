/** Clipping of the averaged gradient by its norm over all parameters (torch.nn.utils.clip_grad_norm_). */

/**
 * `gradient` times min(1, maxNorm / (norm + 1e-6)) into `target`, as long as it. The reduced gradient is the same on every
 * worker and in the same order, so the norm, summed in float64 in that order, has the same bits everywhere. Returns the norm.
 */
export function clipNorm(gradient: Float32Array, maxNorm: number, target: Float32Array): number {
  // Four sums: one alone would wait for each addition before it begins the next.
  let [a, b, c, d] = [0, 0, 0, 0];
  const even = gradient.length - (gradient.length % 4);
  for (let i = 0; i < even; i += 4) {
    const x = gradient[i] as number;
    const y = gradient[i + 1] as number;
    const z = gradient[i + 2] as number;
    const w = gradient[i + 3] as number;
    a += x * x;
    b += y * y;
    c += z * z;
    d += w * w;
  }
  for (let i = even; i < gradient.length; i++) a += (gradient[i] as number) * (gradient[i] as number);
  const norm = Math.sqrt(a + b + (c + d));
  const scale = Math.min(1, maxNorm / (norm + 1e-6));
  for (let i = 0; i < gradient.length; i++) target[i] = (gradient[i] as number) * scale;
  return norm;
}
