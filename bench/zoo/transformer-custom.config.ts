import { defineTraining } from 'lockstep';
import type { ModelContext } from 'lockstep';
import type { LayerVariable, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { Tensor } from '@tensorflow/tfjs-core';
import { transformer } from './transformer.js';
import { noiseData } from './noise.js';

const [length, width, heads] = [80, 64, 4];

/** Self-attention as a layer of the user's own, which Lockstep runs through tfjs's gradient tape. */
function customAttention(tf: ModelContext['tf']) {
  return class CustomAttention extends tf.layers.Layer {
    static readonly className = 'CustomAttention';
    private weightsByName: Record<string, LayerVariable> = {};

    constructor() {
      super({});
    }

    override build(): void {
      for (const name of ['query', 'key', 'value', 'output']) {
        const initializer = tf.initializers.glorotUniform({ seed: 1 });
        this.weightsByName[name] = this.addWeight(name, [width, width], 'float32', initializer);
      }
      this.built = true;
    }

    override computeOutputShape(shape: number[]): number[] {
      return shape;
    }

    override call(inputs: Tensor | Tensor[]): Tensor {
      const x = Array.isArray(inputs) ? (inputs[0] as Tensor) : inputs;
      const batch = x.shape[0];
      const rows = tf.reshape(x, [batch * length, width]);
      const weight = (name: string) => this.weightsByName[name]?.read() as Tensor;
      const project = (name: string) =>
        tf.transpose(
          tf.reshape(tf.matMul(rows, weight(name)), [batch, length, heads, width / heads]),
          [0, 2, 1, 3],
        );
      const scores = tf.matMul(project('query'), project('key'), false, true);
      const attention = tf.softmax(tf.mul(scores, (width / heads) ** -0.5));
      const mixed = tf.transpose(tf.matMul(attention, project('value')), [0, 2, 1, 3]);
      const output = tf.matMul(tf.reshape(mixed, [batch * length, width]), weight('output'));
      return tf.reshape(output, [batch, length, width]);
    }
  };
}

/** Two transformer blocks whose attention is a custom layer. */
export default defineTraining({
  name: 'transformer-custom',
  model: ({ tf }) => {
    const Attention = customAttention(tf);
    return transformer(tf, (x) => new Attention().apply(x) as SymbolicTensor);
  },
  batchSize: 64,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [80], classes: 2, vocabulary: 5000 }),
});
