/** The messages of a worker that are for display only: nothing in the run depends on them. */

import { z } from 'zod';
import { confusionCellSchema, maxCountedClasses } from '../evaluation/confusion.js';
import { maxMisclassified, misclassifiedSampleSchema, pictureSchema } from '../evaluation/misclassified.js';
import { maxLayers, modelLayerSchema } from '../model/model-layer.js';
import { maxHistograms, namedHistogramSchema } from '../runs/histogram.js';
import { printableLine } from './printable.js';

const uint32 = z.int().min(0).max(0xffffffff);

/** The evaluation to which a message belongs. */
const evaluation = {
  generation: uint32,
  split: z.enum(['train', 'test']),
  epoch: uint32,
  step: uint32,
};

const className = z
  .string()
  .max(1_024)
  .overwrite((text) => printableLine(text));

export const displaySchemas = [
  /** Misclassified examples of the worker's part of an evaluation; sent before `evaluated`. */
  z.strictObject({
    type: z.literal('misclassified'),
    ...evaluation,
    samples: z.array(misclassifiedSampleSchema).max(maxMisclassified),
    picture: pictureSchema.nullable(),
  }),
  /** Predictions of the worker's part of an evaluation, counted by label and predicted class; sent before `evaluated`. */
  z.strictObject({
    type: z.literal('confusion'),
    ...evaluation,
    classes: z.array(className).max(maxCountedClasses),
    cells: z.array(confusionCellSchema).max(maxCountedClasses * maxCountedClasses),
  }),
  /** The layers of the model; sent once by rank 0. */
  z.strictObject({
    type: z.literal('model'),
    generation: uint32,
    layers: z.array(modelLayerSchema).max(maxLayers),
  }),
  /** Histograms of weights and gradients; sent by rank 0 before `committed` of the step. */
  z.strictObject({
    type: z.literal('histograms'),
    generation: uint32,
    step: uint32,
    histograms: z.array(namedHistogramSchema).max(maxHistograms),
  }),
] as const;
