/** A layer of the model, as those who look at a run are told of it. */

import { z } from 'zod';

const name = z.string().max(256);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Models with more are not described. */
export const maxLayers = 4_096;

export const modelLayerSchema = z.strictObject({
  /** Told apart from all others of the model. */
  name,
  /** Its class: `Conv2D`. */
  kind: name,
  /** Names of the layers that it is fed from. */
  inputs: z.array(name).max(256),
  /** Of its first output; null: the batch. */
  shape: z.array(count.nullable()).max(64),
  parameters: count,
});
export type ModelLayer = Readonly<z.infer<typeof modelLayerSchema>>;
