/** The softmax cross-entropy of rows of logits. Intermediate results are float64. */

/**
 * losses[rows] = -log softmax(logits)[label] for logits[rows, classes] and labels[rows] (int32), and gradient[rows,
 * classes] = softmax(logits) - onehot(label). A label outside [0, classes) makes the row's loss and gradient NaN.
 */
export function softmaxCrossEntropy(
  logits: usize,
  labels: usize,
  rows: i32,
  classes: i32,
  losses: usize,
  gradient: usize,
): void {
  for (let row = 0; row < rows; row++) {
    let largest: f32 = -Infinity;
    for (let c = 0; c < classes; c++) largest = max(largest, f32.load(logits + c * 4));
    let sum: f64 = 0;
    for (let c = 0; c < classes; c++) sum += NativeMath.exp(<f64>f32.load(logits + c * 4) - <f64>largest);
    const label = i32.load(labels + row * 4);
    const inside = label >= 0 && label < classes;
    const chosen: f64 = inside ? <f64>f32.load(logits + label * 4) - <f64>largest : NaN;
    f32.store(losses + row * 4, <f32>(NativeMath.log(sum) - chosen));
    for (let c = 0; c < classes; c++) {
      const probability = NativeMath.exp(<f64>f32.load(logits + c * 4) - <f64>largest) / sum;
      f32.store(gradient + c * 4, <f32>(c == label ? probability - 1 : inside ? probability : NaN));
    }
    logits += classes * 4;
    gradient += classes * 4;
  }
}
