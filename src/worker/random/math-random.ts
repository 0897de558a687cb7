/**
 * Replaces Math.random while foreign code runs. tfjs seeds its random ops from Math.random if the caller passes no seed. While a model
 * is built, Math.random draws from the run's generator; during training, it throws. No other file uses Math.random.
 */

import { ModelError } from '../../shared/errors.js';

/** Runs `body` with Math.random replaced by `draw` (uniform over [0, 1)). Synchronous code only. */
export function withMathRandom<T>(draw: () => number, body: () => T): T {
  const original = Math.random;
  Math.random = draw;
  try {
    return body();
  } finally {
    Math.random = original;
  }
}

/** Runs `body`, in which Math.random throws. Synchronous code only. @throws ModelError with the message `refusal` */
export function withoutMathRandom<T>(refusal: string, body: () => T): T {
  const refuse = (): never => {
    throw new ModelError(refusal);
  };
  return withMathRandom(refuse, body);
}

/** Like `withMathRandom`, until the promise of `body` is settled. Other code that runs in the meantime uses `draw` too. */
export async function withMathRandomUntil<T>(draw: () => number, body: () => T | Promise<T>): Promise<T> {
  const original = Math.random;
  Math.random = draw;
  try {
    return await body();
  } finally {
    Math.random = original;
  }
}
