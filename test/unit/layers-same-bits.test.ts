import type { SymbolicTensor } from '@tensorflow/tfjs';
import { describe, it } from 'vitest';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { engineFor } from '../support/in-process.js';
import { expectSameBits } from '../support/zoo/expect-same-bits.js';
import type { ModelCase } from '../support/zoo/model-case.js';

const rate = 0.3;

const cases: readonly ModelCase[] = [
  {
    name: 'noise layers, also in TimeDistributed',
    build: (tf) =>
      tf.sequential({
        layers: [
          tf.layers.conv1d({ filters: 4, kernelSize: 2, inputShape: [5, 3] }),
          tf.layers.spatialDropout1d({ rate }),
          tf.layers.gaussianNoise({ stddev: 0.2 }),
          tf.layers.timeDistributed({ layer: tf.layers.dropout({ rate, seed: 3 }) }),
          tf.layers.gaussianDropout({ rate }),
          tf.layers.dropout({ rate, noiseShape: [null, 1, 4] as unknown as number[] }),
          tf.layers.flatten(),
          tf.layers.alphaDropout({ rate }),
          tf.layers.dense({ units: 2 }),
        ],
      }),
  },
  {
    name: 'recurrent dropout behind a mask',
    vocabulary: [6],
    build: (tf) => {
      const recurrent = { dropout: rate, recurrentDropout: rate, returnSequences: true };
      return tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 6, outputDim: 3, inputLength: 3, maskZero: true }),
          tf.layers.bidirectional({ layer: tf.layers.lstm({ units: 2, ...recurrent }), mergeMode: 'concat' }),
          tf.layers.gru({ units: 3, ...recurrent, returnSequences: false }),
          tf.layers.dense({ units: 1 }),
        ],
      });
    },
  },
  {
    name: 'dropout of stacked cells, whose masks tfjs would keep from step to step',
    build: (tf) => {
      const dropouts = { dropout: rate, recurrentDropout: rate };
      const cell = [
        tf.layers.lstmCell({ units: 2, ...dropouts }),
        tf.layers.gruCell({ units: 3, ...dropouts }),
      ];
      return tf.sequential({
        layers: [tf.layers.rnn({ cell, inputShape: [3, 2] }), tf.layers.dense({ units: 1 })],
      });
    },
  },
  {
    name: 'BatchNormalization in TimeDistributed and in a nested model that is called twice',
    build: (tf) => {
      const block = () =>
        tf.sequential({
          layers: [
            tf.layers.dense({ units: 4, inputShape: [4] }),
            tf.layers.batchNormalization(),
            tf.layers.reLU(),
          ],
        });
      const apply = (layer: { apply: (x: SymbolicTensor) => unknown }, x: SymbolicTensor): SymbolicTensor =>
        layer.apply(x) as SymbolicTensor;
      const input = tf.input({ shape: [3, 4] });
      const steps = apply(tf.layers.timeDistributed({ layer: tf.layers.batchNormalization() }), input);
      const blocks = apply(tf.layers.timeDistributed({ layer: block() }), steps);
      const pooled = apply(tf.layers.globalMaxPooling1d(), blocks);
      const twice = block();
      const output = apply(tf.layers.dense({ units: 2 }), apply(twice, apply(twice, pooled)));
      return tf.model({ inputs: input, outputs: output });
    },
  },
];

const engines: readonly (readonly ['wasm' | 'tensorflow', RunConfigInput])[] = [
  ['wasm', {}],
  ['tensorflow', {}],
  ['tensorflow', { precision: 'bfloat16' }],
];

describe.each(engines)('one, two and three workers have equal bits on %s with %j', (choice, config) => {
  it.each(cases.map((modelCase) => [modelCase.name, modelCase] as const))('%s', async (_, modelCase) => {
    await expectSameBits(await engineFor(choice), modelCase, config);
  });
});
