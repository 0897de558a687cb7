/**
 * Elementwise kernels: ReLU, bias and Adam. Vectors of four elements are followed by a scalar loop over the rest; both
 * round alike, so the bits are those of a plain loop. Outputs may be inputs.
 */

/** y = max(x, 0); NaN stays NaN. */
export function relu(x: usize, count: i32, y: usize): void {
  const zero = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) v128.store(y + i * 4, f32x4.max(v128.load(x + i * 4), zero));
  for (; i < count; i++) f32.store(y + i * 4, max<f32>(f32.load(x + i * 4), 0));
}

/** dx = dy where y > 0, else 0. */
export function reluGradient(dy: usize, y: usize, count: i32, dx: usize): void {
  const zero = f32x4.splat(0);
  let i = 0;
  for (; i + 4 <= count; i += 4) {
    v128.store(dx + i * 4, v128.and(v128.load(dy + i * 4), f32x4.gt(v128.load(y + i * 4), zero)));
  }
  for (; i < count; i++) f32.store(dx + i * 4, f32.load(y + i * 4) > 0 ? f32.load(dy + i * 4) : 0);
}

/** y[rows, columns] = x[rows, columns] + bias[columns]. */
export function biasAdd(x: usize, rows: i32, columns: i32, bias: usize, y: usize): void {
  for (let row = 0; row < rows; row++) {
    let c = 0;
    for (; c + 4 <= columns; c += 4) {
      v128.store(y + c * 4, f32x4.add(v128.load(x + c * 4), v128.load(bias + c * 4)));
    }
    for (; c < columns; c++) f32.store(y + c * 4, f32.load(x + c * 4) + f32.load(bias + c * 4));
    x += columns * 4;
    y += columns * 4;
  }
}

/**
 * Adam (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015) in the order of operations of PyTorch's
 * _single_tensor_adam (torch/optim/adam.py). Updates the parameters p and the moments m and v in place from the
 * gradient g. `scalars` are 1 - beta1, beta2, 1 - beta2, sqrt(1 - beta2^t), epsilon and -learning rate / (1 - beta1^t).
 * All four vectors must have room for a multiple of four elements.
 */
export function adam(p: usize, m: usize, v: usize, g: usize, count: i32, scalars: usize): void {
  const oneMinusBeta1 = v128.load32_splat(scalars);
  const beta2 = v128.load32_splat(scalars, 4);
  const oneMinusBeta2 = v128.load32_splat(scalars, 8);
  const correction = v128.load32_splat(scalars, 12);
  const epsilon = v128.load32_splat(scalars, 16);
  const step = v128.load32_splat(scalars, 20);
  for (let i = 0; i < count; i += 4) {
    const at = i * 4;
    const gradient = v128.load(g + at);
    let mean = v128.load(m + at);
    mean = f32x4.add(mean, f32x4.mul(oneMinusBeta1, f32x4.sub(gradient, mean)));
    v128.store(m + at, mean);
    const square = f32x4.mul(f32x4.mul(oneMinusBeta2, gradient), gradient);
    const variance = f32x4.add(f32x4.mul(v128.load(v + at), beta2), square);
    v128.store(v + at, variance);
    const denominator = f32x4.add(f32x4.div(f32x4.sqrt(variance), correction), epsilon);
    v128.store(p + at, f32x4.add(v128.load(p + at), f32x4.div(f32x4.mul(step, mean), denominator)));
  }
}
