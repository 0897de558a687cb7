/**
 * Regularizers of layers (`kernelRegularizer` and the like): a penalty on weights that is part of the loss, once a step and not
 * once a sample. So it is nobody's shard: every worker computes it from the same weights, after the gradients of the shards
 * have been added up, and adds the same numbers to the same sum.
 */

import type { LayersModel, Scalar, Tensor, Variable } from '@tensorflow/tfjs';
import { withoutMathRandom } from '../random/math-random.js';
import type { Tensorflow } from '../engine/native.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import { fieldsOf, type Layer, type LayerVariable } from '../executor/layer.js';

const drawsRandom =
  'A regularizer called Math.random, so workers would have different numbers. Remove the random draw.';

/** A layer that computes the penalty of each regularizer that its weights have. */
interface Penalized {
  calculateLosses(): Scalar[];
}

export interface Regularized {
  /** To be added to the loss, as `tf.LayersModel.fit` does; evaluations leave it out, as `evaluate` does. */
  readonly penalty: number;
  /** Flat, in backward order; overwritten by the next call. */
  readonly gradient: Float32Array;
}

export class Regularization {
  readonly #tf: Tensorflow;
  readonly #layers: readonly Penalized[];
  readonly #parameters: readonly { readonly place: FlatParameter; readonly variable: Variable }[];
  readonly #sum: Float32Array;

  private constructor(
    tf: Tensorflow,
    layers: readonly Penalized[],
    parameters: readonly { readonly place: FlatParameter; readonly variable: Variable }[],
  ) {
    this.#tf = tf;
    this.#layers = layers;
    this.#parameters = parameters;
    this.#sum = new Float32Array(parameters.reduce((total, { place }) => total + place.size, 0));
  }

  /** Of a model's layers, each once; undefined where none has a regularizer. */
  static of(
    tf: Tensorflow,
    model: LayersModel,
    layers: readonly Layer[],
    parameters: readonly FlatParameter[],
  ): Regularization | undefined {
    const penalized = layers.map((layer) => fieldsOf<Penalized>(layer));
    const count = tf.tidy(() => penalized.flatMap((layer) => layer.calculateLosses()).length);
    if (count === 0) return undefined;
    const weights = model.weights as unknown as LayerVariable[];
    const places = parameters.flatMap((place) => {
      const variable = weights[place.weight]?.read() as Variable | undefined;
      return variable ? [{ place, variable }] : [];
    });
    return new Regularization(tf, penalized, places);
  }

  /**
   * The penalty of the present weights, and `gradient` (the shards' sum, which is left as it is: others may be reading it) plus
   * the penalty's own.
   */
  add(gradient: Float32Array): Regularized {
    const sum = this.#sum;
    sum.set(gradient);
    const penalty = this.#tf.tidy(() => {
      const { value, grads } = withoutMathRandom(drawsRandom, () =>
        this.#tf.variableGrads(
          () => this.#penalty(),
          this.#parameters.map(({ variable }) => variable),
        ),
      );
      for (const { place, variable } of this.#parameters) {
        const more = grads[variable.name]?.dataSync<'float32'>();
        if (!more) continue;
        for (let i = 0; i < place.size; i++)
          sum[place.offset + i] = (sum[place.offset + i] as number) + (more[i] as number);
      }
      return value.dataSync()[0] ?? Number.NaN;
    });
    return { penalty, gradient: sum };
  }

  #penalty(): Scalar {
    const penalties: Tensor[] = this.#layers.flatMap((layer) => layer.calculateLosses());
    return penalties.reduce((total, penalty) => this.#tf.add(total, penalty)).asScalar();
  }
}
