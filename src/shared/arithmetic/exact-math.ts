/**
 * The functions that JavaScript leaves to the implementation (exp, pow, cos, ...), from a WebAssembly module of additions,
 * multiplications and tables, so that they have the same bits in every Node and on every processor. V8 has changed its own more
 * than once. Whatever reaches a weight uses these; +, -, *, / and Math.sqrt are exact by IEEE 754 and need none.
 *
 * `**` is Math.pow and can't be replaced: lint refuses it where it would matter.
 */

import { readFileSync } from 'node:fs';

/** From src/shared/arithmetic as well as from dist/shared/arithmetic. */
const file = new URL('../../../dist/wasm/math.wasm', import.meta.url);

const unary = [
  ...(['acos', 'acosh', 'asin', 'asinh', 'atan', 'atanh', 'cbrt', 'cos', 'cosh', 'exp', 'expm1'] as const),
  ...(['log', 'log10', 'log1p', 'log2', 'sin', 'sinh', 'tan', 'tanh'] as const),
];
const binary = ['atan2', 'pow'] as const;

export type ExactMath = Readonly<
  Record<(typeof unary)[number], (x: number) => number> &
    Record<(typeof binary)[number], (x: number, y: number) => number>
>;

export const exactMath = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(file)), {})
  .exports as unknown as ExactMath;

/** Gives the process's Math these functions, for code that isn't ours: tfjs, and the user's model, data and loss. */
export function useExactMath(): void {
  for (const name of unary) Math[name] = exactMath[name];
  for (const name of binary) Math[name] = exactMath[name];
}
