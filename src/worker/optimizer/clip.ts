/** Clipping of the averaged gradient by its norm over all parameters (torch.nn.utils.clip_grad_norm_). */

/**
 * Writes `gradient` times min(1, maxNorm / (norm + 1e-6)) to `target`, which has the same length, and returns the norm. The reduced
 * gradient has the same values in the same order on every worker, so the norm, summed in float64, has the same bits everywhere.
 */
export function clipNorm(gradient: Float32Array, maxNorm: number, target: Float32Array): number {
  // Four independent sums, since each addition to a single sum would wait for the previous one.
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
