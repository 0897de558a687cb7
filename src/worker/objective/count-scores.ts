/** The values of metrics that are computed from counts, one class at a time, and their combination over classes. */

/** Precision, recall or F1 of [true positives, predicted, actual]; 0 if it is 0 / 0. */
export function scoreOf(kind: 'precision' | 'recall' | 'f1', counts: Float64Array): number {
  const [right = 0, predicted = 0, actual = 0] = counts;
  const [above, below] =
    kind === 'precision'
      ? [right, predicted]
      : kind === 'recall'
        ? [right, actual]
        : [2 * right, predicted + actual];
  return below === 0 ? 0 : above / below;
}

/**
 * The probability that a positive sample has a higher score than a negative one, where samples in one bin count as half. 0 if there are
 * no positive or no negative samples.
 * @param counts positive samples per bin, then negative samples per bin
 */
export function areaUnderCurve(counts: Float64Array): number {
  const bins = counts.length / 2;
  let [positives, negatives, area] = [0, 0, 0];
  for (let bin = 0; bin < bins; bin++) {
    const [positive, negative] = [counts[bin] ?? 0, counts[bins + bin] ?? 0];
    area += positive * (negatives + negative / 2);
    positives += positive;
    negatives += negative;
  }
  return positives === 0 || negatives === 0 ? 0 : area / positives / negatives;
}

/**
 * Combines the classes. Classes that occur neither in the targets nor in the predictions are left out of the means.
 * @param counts `perClass` counts for each class
 * @param score the value of the counts of one class, or of all classes together
 */
export function combineClasses(
  counts: Float64Array,
  perClass: number,
  average: 'macro' | 'micro' | 'weighted',
  score: (counts: Float64Array) => number,
): number {
  const classes = counts.length / perClass;
  const ofClass = (i: number): Float64Array => counts.subarray(i * perClass, (i + 1) * perClass);
  if (classes === 1) return score(counts);
  if (average === 'micro') {
    const all = new Float64Array(perClass);
    counts.forEach((count, i) => (all[i % perClass] = (all[i % perClass] ?? 0) + count));
    return score(all);
  }
  let [total, weights] = [0, 0];
  for (let i = 0; i < classes; i++) {
    const one = ofClass(i);
    const weight = average === 'weighted' ? samplesOf(one) : Number(occurs(one));
    if (weight === 0) continue;
    total += weight * score(one);
    weights += weight;
  }
  return weights === 0 ? 0 : total / weights;
}

/** Number of samples of the class: the third of three counts, or the first half of a histogram. */
function samplesOf(counts: Float64Array): number {
  return counts.length === 3 ? (counts[2] ?? 0) : sum(counts.subarray(0, counts.length / 2));
}

/** True if the class is in the targets or predictions; for a histogram, if it is in the targets, and not in all of them. */
function occurs(counts: Float64Array): boolean {
  if (counts.length === 3) return (counts[1] ?? 0) + (counts[2] ?? 0) > 0;
  const half = counts.length / 2;
  return sum(counts.subarray(0, half)) > 0 && sum(counts.subarray(half)) > 0;
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
