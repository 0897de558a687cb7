/** The type of tfjs's API in this package: the parts of tfjs that Lockstep depends on, as the package `@tensorflow/tfjs` unites them. */

import type * as core from '@tensorflow/tfjs-core';
// It declares the methods of tensors, such as `add`.
import type * as methods from '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops.js';
import type * as data from '@tensorflow/tfjs-data';
import type * as layers from '@tensorflow/tfjs-layers';

/**
 * tfjs-core, tfjs-layers and, as `data`, tfjs-data. `@tensorflow/tfjs` has this type too, and adds WebGL and graph models. At run time
 * it also has the functions of tfjs-converter, if that package is installed.
 */
export type Tensorflow = typeof core &
  typeof methods &
  typeof layers & {
    readonly data: Omit<typeof data, 'default'>;
    readonly version: Readonly<Record<`tfjs-${'core' | 'layers' | 'data' | 'backend-cpu'}`, string>>;
  };
