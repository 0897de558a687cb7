/** A layer of the model as the dashboard shows it. */

import { z } from 'zod';

/** Maximum length of a layer's name. */
export const maxLayerName = 256;
const name = z.string().max(maxLayerName);
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Models with more layers are not described. */
export const maxLayers = 4_096;

export const modelLayerSchema = z.strictObject({
  /** Unique within the model. */
  name,
  /** Class name, such as `Conv2D`. */
  kind: name,
  /** Names of the layers whose outputs are its inputs. */
  inputs: z.array(name).max(256),
  /** Shape of its first output; null is the batch dimension. */
  shape: z.array(count.nullable()).max(64),
  parameters: count,
});
export type ModelLayer = Readonly<z.infer<typeof modelLayerSchema>>;
