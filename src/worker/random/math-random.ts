/**
 * Takes Math.random out of the hands of code that isn't ours. tfjs seeds its random ops from Math.random when the caller
 * gives no seed; while a model is built it gets the run's generator instead, and while it trains it gets a refusal.
 * The only file that touches Math.random.
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

/** Runs `body`, whose result must not depend on the worker. Synchronous code only. @throws ModelError when it draws from Math.random */
export function withoutMathRandom<T>(refusal: string, body: () => T): T {
  const refuse = (): never => {
    throw new ModelError(refusal);
  };
  return withMathRandom(refuse, body);
}

/** As `withMathRandom`, until what `body` promises is there. Whatever else runs meanwhile draws from it too. */
export async function withMathRandomUntil<T>(draw: () => number, body: () => T | Promise<T>): Promise<T> {
  const original = Math.random;
  Math.random = draw;
  try {
    return await body();
  } finally {
    Math.random = original;
  }
}
