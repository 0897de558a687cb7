/** Configuration fields of the data: their source, normalization and augmentation. */

import { z } from 'zod';
import { augmentSchema } from '../augment-config.js';
import { fieldMetadata } from '../field-metadata.js';
import { finite } from '../numbers.js';

export const dataFields = {
  data: z.string().min(1).max(4096).nullable().default(null).register(fieldMetadata, {
    description: 'folder with the four IDX files of the training and the test set',
    flag: '--data <dir>',
    environment: 'LOCKSTEP_DATA',
    defaultText: 'MNIST',
    resume: 'free',
  }),
  allowOtherData: z.boolean().default(false).register(fieldMetadata, {
    description:
      'a resumed run may have other data than its checkpoint: other content, another number of samples, or another name or version of `samples`',
    flag: '--allow-other-data',
    resume: 'free',
  }),
  normalize: z
    .strictObject({
      /** Subtracted from x / 255. */
      mean: finite,
      /** Divisor after the subtraction. */
      std: finite.positive(),
    })
    .default({ mean: 0.5, std: 0.5 })
    .register(fieldMetadata, {
      description: 'normalization of pixels: (x / 255 - mean) / std',
      resume: 'fixed',
    }),
  augment: z.array(augmentSchema).max(64).default([]).register(fieldMetadata, {
    description: 'random changes to each training picture, applied in order: crop, flip, affine, cutout',
    resume: 'free',
  }),
};
