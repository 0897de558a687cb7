/** The networks that are compared: the recipe's ConvNet, and the same with few channels, whose states are small enough to keep. */

import type { LayersModel } from '@tensorflow/tfjs';
import { convNet } from '../../examples/mnist/convnet.js';
import type { ModelContext } from '../../src/api/define-training.js';

type Context = Pick<ModelContext, 'tf' | 'seed'>;

export type Network = 'convnet' | 'thin';

/** Channels and units of the thin one: the least that Lockstep's own kernels take. */
const thinWidth = 16;

interface LayerConfig {
  readonly config: { filters?: number; units?: number };
}

export function build(network: Network, dropout: boolean) {
  return (context: Context): LayersModel => {
    const whole = convNet(context);
    const model = network === 'thin' ? narrow(whole, context) : whole;
    for (const layer of model.layers) {
      if (!dropout && layer.getClassName() === 'Dropout') (layer as unknown as { rate: number }).rate = 0;
    }
    return model;
  };
}

function narrow(whole: ReturnType<typeof convNet>, { tf }: Context): LayersModel {
  const config = whole.getConfig() as unknown as { layers: LayerConfig[] };
  for (const layer of config.layers) {
    if (layer.config.filters !== undefined) layer.config.filters = thinWidth;
    if (layer.config.units === 512) layer.config.units = thinWidth;
  }
  whole.dispose();
  const narrowed: unknown = tf.Sequential.fromConfig(tf.Sequential, config as never);
  return narrowed as LayersModel;
}
