/** Checks what a loss or a metric of the training definition returned. */

import { UserCodeError } from '../../shared/errors.js';
import { describeValue } from '../../shared/user-code.js';

interface TensorLike {
  readonly rank: number;
  readonly shape: readonly number[];
}

/**
 * @param what names the function in the message
 * @throws UserCodeError unless `values` is a tensor [samples]
 */
export function checkPerSample(values: unknown, samples: number, what: string, remedy: string): void {
  if (isTensor(values) && values.rank === 1 && values.shape[0] === samples) return;
  const got = isTensor(values)
    ? `a tensor of ${values.shape.join('x') || 'no dimension'}`
    : describeValue(values);
  throw new UserCodeError(
    `${what}: expected a tensor with one value for each of ${samples} samples, got ${got}. ${remedy}`,
    { what },
  );
}

function isTensor(value: unknown): value is TensorLike {
  return (
    typeof value === 'object' && value !== null && 'dataSync' in value && 'rank' in value && 'shape' in value
  );
}
