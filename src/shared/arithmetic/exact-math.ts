/**
 * The functions whose precision JavaScript leaves to the implementation (exp, pow, cos, ...), from a WebAssembly module of additions,
 * multiplications and tables, so that they have the same bits in every version of Node and on every processor; V8 has changed its own
 * more than once. All code that affects a weight uses them. +, -, *, / and Math.sqrt are correctly rounded by IEEE 754.
 *
 * `**` is equivalent to Math.pow and cannot be replaced; lint forbids it in code that affects a weight.
 */

import { readFileSync } from 'node:fs';

/** Resolves from src/shared/arithmetic and from dist/shared/arithmetic. */
const file = new URL('../../../dist/wasm/math.wasm', import.meta.url);

const unary = [
  'acos',
  'acosh',
  'asin',
  'asinh',
  'atan',
  'atanh',
  'cbrt',
  'cos',
  'cosh',
  'exp',
  'expm1',
  'log',
  'log10',
  'log1p',
  'log2',
  'sin',
  'sinh',
  'tan',
  'tanh',
] as const;
const binary = ['atan2', 'pow'] as const;

export type ExactMath = Readonly<
  Record<(typeof unary)[number], (x: number) => number> &
    Record<(typeof binary)[number], (x: number, y: number) => number>
>;

export const exactMath = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {})
  .exports as unknown as ExactMath;

/** Replaces the functions of the global Math, for foreign code: tfjs, and the user's model, data and loss. */
export function useExactMath(): void {
  for (const name of unary) Math[name] = exactMath[name];
  for (const name of binary) Math[name] = exactMath[name];
}
