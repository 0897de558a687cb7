/** The random numbers of a recorded layer, computed number by number from the definition of Philox. */
import { philoxBlock, unitFloat } from '../../src/shared/random/philox.js';

export interface Draws {
  readonly seed: number;
  readonly step: number;
  /** Index of the layer's node in the model. */
  readonly node: number;
}

const layerPurpose = 6;

/** Draw number `draw` of a call: uniform numbers of `count` samples from the global position `start` on, `columns` per sample. */
export function uniformDraw(
  { seed, step, node }: Draws,
  draw: number,
  { start, count }: { readonly start: number; readonly count: number },
  columns: number,
): Float32Array {
  const blocks = Math.ceil(columns / 4);
  const words = new Uint32Array(4);
  return Float32Array.from({ length: count * columns }, (_, i) => {
    const [sample, column] = [start + Math.floor(i / columns), i % columns];
    const key = { low: seed, high: layerPurpose + 256 * node };
    philoxBlock(key, sample * blocks + Math.floor(column / 4), 0, step, draw, words);
    return unitFloat(words[column % 4]!);
  });
}

/** Two draws as normal numbers, by Box and Muller. */
export function normalDraw(...[of, draw, samples, columns]: Parameters<typeof uniformDraw>): Float32Array {
  const [radius, angle] = [draw, draw + 1].map((n) => uniformDraw(of, n, samples, columns));
  return radius!.map((u, i) => Math.sqrt(-2 * Math.log(1 - u)) * Math.cos(2 * Math.PI * angle![i]!));
}
