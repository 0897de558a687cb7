/**
 * Classification in the process of `lockstep demo`, for models that the page cannot open: tfjs in a browser has no layers of the
 * user's own, and reads no JSON of Keras 3.
 */

import { normalizationOf } from '../../shared/data/preprocessing.js';
import { classify } from '../../worker/predict/classify.js';
import { requirePictureInput } from './picture-input.js';
import { openSavedRun, type SavedRunOptions } from '../runs/open-saved-run.js';

export interface Classifier {
  readonly width: number;
  readonly height: number;
  /** Takes a picture as float32 values from 0 to 255; returns the probability of each class, or undefined for another size. */
  readonly probabilities: (body: Buffer) => number[] | undefined;
}

/**
 * @param flags the training definition, if the user names one
 * @throws ModelError if the model cannot be opened, or does not take grayscale pictures
 */
export async function openClassifier(
  directory: string,
  flags: Pick<SavedRunOptions, 'config'>,
): Promise<Classifier> {
  const { engine, model, config, preprocessing } = await openSavedRun(directory, {
    ...flags,
    engine: 'wasm',
  });
  const normalization = normalizationOf(config, preprocessing);
  requirePictureInput(
    directory,
    model.inputs.map(({ shape }) => shape),
  );
  const [height, width] = (model.inputs[0]?.shape ?? []).slice(1).map(Number) as [number, number];
  const probabilities = (body: Buffer): number[] | undefined => {
    if (body.length !== width * height * 4) return undefined;
    const values = new Float32Array(new Uint8Array(body).buffer);
    const pixels = Uint8Array.from(values, (value) => Math.round(Math.min(255, Math.max(0, value))));
    const ranked = classify(engine.tf, model, { pixels, width, height, channels: 1 }, normalization);
    return ranked.sort((a, b) => a.label - b.label).map(({ probability }) => probability);
  };
  return { width, height, probabilities };
}
