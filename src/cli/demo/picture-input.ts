/** Checks that a model takes what the page of `lockstep demo` draws: one grayscale picture. */

import { isRecord } from '../../shared/config/is-record.js';
import { ModelError } from '../../shared/errors.js';

/** Shape of an input, samples first; null: any size. */
export type InputShape = readonly (number | null)[];

/**
 * @param run the run or model, for the message
 * @throws ModelError unless there is one input of height x width x 1
 */
export function requirePictureInput(run: string, inputs: readonly InputShape[]): void {
  const [, height, width, channels] = inputs[0] ?? [];
  const isPicture = typeof height === 'number' && typeof width === 'number' && channels === 1;
  if (inputs.length === 1 && inputs[0]?.length === 4 && isPicture) return;
  const shown = inputs
    .map((shape) =>
      shape
        .slice(1)
        .map((size) => size ?? 'any')
        .join(' x '),
    )
    .join(' and ');
  throw new ModelError(
    `Model in ${run}: expected one input of height x width x 1, since the page of the demo draws grayscale pictures, got ${shown}. ` +
      `Use it with: lockstep predict ${run} FILE`,
  );
}

/** Returns the shapes of the inputs in a saved topology; undefined if it does not contain them. */
export function inputShapesOf(topology: unknown): readonly InputShape[] | undefined {
  const model =
    isRecord(topology) && isRecord(topology['model_config']) ? topology['model_config'] : topology;
  const config = isRecord(model) ? model['config'] : undefined;
  const layers = isRecord(config) ? config['layers'] : config;
  if (!Array.isArray(layers)) return undefined;
  const all = layers as readonly unknown[];
  const inputs = all.filter((layer) => isRecord(layer) && layer['class_name'] === 'InputLayer');
  const shapes = (inputs.length > 0 ? inputs : all.slice(0, 1)).map(shapeOf);
  return shapes.every((shape) => shape !== undefined) && shapes.length > 0 ? shapes : undefined;
}

function shapeOf(layer: unknown): InputShape | undefined {
  if (!isRecord(layer) || !isRecord(layer['config'])) return undefined;
  const shape = layer['config']['batch_input_shape'];
  // A Sequential may begin with another model.
  return Array.isArray(shape) ? (shape as InputShape) : inputShapesOf(layer)?.[0];
}
