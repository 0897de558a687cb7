/** A bounded selection of the samples that an evaluation misclassified, with pixels if they are small pictures. */

import { z } from 'zod';

/** Maximum number per evaluation, over all workers. */
export const maxMisclassified = 48;
/** Maximum bytes of a picture. Larger ones are left out, since the list is kept in the run's log. */
export const pictureBytes = 32 * 32 * 3;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

export const misclassifiedSampleSchema = z.strictObject({
  /** Index of the sample in its split. */
  index: count,
  label: count,
  predicted: count,
  /** Softmax probability of the predicted class, 0 to 1. */
  confidence: z.number().min(0).max(1),
  /** Pixels [height][width][channel], 0 to 255, in base64; null if the samples are not small pictures. */
  pixels: z
    .base64()
    .max(Math.ceil(pictureBytes / 3) * 4)
    .nullable(),
});
export type MisclassifiedSample = Readonly<z.infer<typeof misclassifiedSampleSchema>>;

export const pictureSchema = z
  .strictObject({
    height: count.min(1),
    width: count.min(1),
    channels: z.union([z.literal(1), z.literal(3)]),
  })
  .refine(
    ({ height, width, channels }) => height * width * channels <= pictureBytes,
    `must have at most ${pictureBytes} values`,
  );
export type Picture = Readonly<z.infer<typeof pictureSchema>>;

/** The picture format of samples of this shape; null if they are not small pictures. */
export function pictureOf(shape: readonly number[]): Picture | null {
  const [height = 0, width = 0, channels = 1] = shape;
  if (shape.length < 2 || shape.length > 3 || (channels !== 1 && channels !== 3)) return null;
  return height > 1 && width > 1 && height * width * channels <= pictureBytes
    ? { height, width, channels }
    : null;
}
