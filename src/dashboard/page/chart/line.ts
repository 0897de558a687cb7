/** A line of a chart, and its colour and pattern. Two lines of one chart differ in at least one of the two. */

export type Pattern = 'solid' | 'dashed' | 'dotted';

export interface Line {
  /** Identifies the line in its chart and in the page's address. */
  readonly key: string;
  readonly name: string;
  /** Colour of the style sheet, `c0` to `c7`. */
  readonly colour: string;
  readonly pattern: Pattern;
  /** Ascending. */
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
  /** The values of a smoothed line before smoothing, drawn faintly. */
  readonly raw?: readonly (number | null)[];
  /** True for a line of few points, which are drawn as dots. */
  readonly dots?: boolean;
  /** Range around the line, over the same x. */
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

/** Lengths of dashes and gaps, in pixels; empty for a solid line. */
export const dashes: Readonly<Record<Pattern, readonly number[]>> = {
  solid: [],
  dashed: [7, 4],
  dotted: [2, 3],
};
