/** The engine `js`: tfjs's pure JavaScript backend. */

import { correctResizeGradient } from '../kernels/resize-gradient.js';
import { PortableKernels } from '../kernels/portable.js';
import { describeEngine, oneThread, withoutBanner } from './describe-engine.js';
import type { Engine, EngineDefinition } from './engine.js';
import { requireTfjs } from './tfjs.js';
import { thisProcessor } from './processor.js';

export const javascript: EngineDefinition = {
  precisions: ['float32'],
  load: loadJavaScript,
  kernels: ({ tf }) => {
    correctResizeGradient(tf);
    return new PortableKernels(tf);
  },
  processor: thisProcessor,
};

async function loadJavaScript(): Promise<Engine> {
  const tf = requireTfjs();
  await tf.setBackend('cpu');
  await tf.ready();
  withoutBanner(tf);
  const version = tf.version['tfjs-core'];
  return describeEngine(tf, `pure JavaScript (tfjs ${version})`, {
    kind: 'js',
    version,
    device: oneThread(),
    files: {},
    memory: undefined,
  });
}
