/** Schemas of the augmentations, which are applied to each training picture in order. */

import { z } from 'zod';
import { finite, positiveInt } from './numbers.js';

const side = positiveInt(65_536);

export const augmentSchema = z.discriminatedUnion('kind', [
  /** Cut at a random place from the picture with a margin of `padding` pixels around it: a shift by whole pixels. */
  z.strictObject({ kind: z.literal('crop'), padding: side }),
  /** Mirrors with a probability of one half. */
  z.strictObject({ kind: z.literal('flip'), axis: z.enum(['horizontal', 'vertical']).default('horizontal') }),
  /** Turned, moved, scaled and sheared about its centre, each by a random amount up to the one given; bilinear. */
  z.strictObject({
    kind: z.literal('affine'),
    /** Degrees, either way. */
    rotate: finite.min(0).max(180).default(0),
    /** Pixels, either way, in both directions. */
    shift: finite.min(0).max(65_536).default(0),
    /** 0.1: between 0.9 and 1.1 times the size. */
    scale: finite.min(0).lt(1).default(0),
    /** Degrees, either way. */
    shear: finite.min(0).max(60).default(0),
  }),
  /** A square of this many pixels a side becomes background, at a random place (DeVries & Taylor 2017). */
  z.strictObject({ kind: z.literal('cutout'), size: side }),
  z.strictObject({ kind: z.literal('custom') }),
]);

export type AugmentConfig = z.infer<typeof augmentSchema>;
export type AugmentInput = z.input<typeof augmentSchema>;
