/**
 * Regularizers of layers (`kernelRegularizer` and others): penalties on weights that are added to the loss once per step. They do not
 * depend on samples, so every worker computes them from the same weights after the all-reduce and adds them to the same sum.
 */

import { allocatePinned, type PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { Scalar, Tensor, Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { withoutMathRandom } from '../random/math-random.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import { buildGraph } from '../executor/graph.js';
import { fieldsOf } from '../executor/layer.js';
import { weightsOf } from '../executor/model-weights.js';

const drawsRandom =
  'A regularizer called Math.random, so workers would have different numbers. Remove the random draw.';

/** A layer that computes the penalty of each regularizer of its weights. */
interface Penalized {
  calculateLosses(): Scalar[];
}

/** tfjs-core's engine, whose `variableGrads` requires that a gradient exists. */
interface GradientEngine {
  gradients(
    f: () => Scalar,
    xs: readonly Variable[],
    dy: null,
    allowNoGradients: boolean,
  ): { readonly value: Scalar; readonly grads: readonly (Tensor | null)[] };
}

export interface Regularized {
  /** Added to the training loss, as in `tf.LayersModel.fit`, and not to the loss of evaluations, as in `tf.LayersModel.evaluate`. */
  readonly penalty: number;
  /** Flat, in backward order; overwritten by the next call. */
  readonly gradient: PinnedVector;
}

export class Regularization {
  readonly #tf: Tensorflow;
  /** One layer per call of a layer. */
  readonly #calls: readonly Penalized[];
  readonly #parameters: readonly { readonly parameter: FlatParameter; readonly variable: Variable }[];
  readonly #sum: PinnedVector;

  private constructor(
    tf: Tensorflow,
    calls: readonly Penalized[],
    parameters: readonly { readonly parameter: FlatParameter; readonly variable: Variable }[],
  ) {
    this.#tf = tf;
    this.#calls = calls;
    this.#parameters = parameters;
    this.#sum = allocatePinned(parameters.reduce((total, { parameter }) => total + parameter.size, 0));
  }

  /**
   * Returns undefined if no layer has a regularizer. As in `fit`, a layer that the model calls several times is penalized once per
   * call.
   */
  static of(
    tf: Tensorflow,
    model: LayersModel,
    parameters: readonly FlatParameter[],
  ): Regularization | undefined {
    const calls = buildGraph(model).nodes.map(({ layer }) => fieldsOf<Penalized>(layer));
    const count = tf.tidy(() => calls.flatMap((layer) => layer.calculateLosses()).length);
    if (count === 0) return undefined;
    const weights = weightsOf(model);
    const trained = parameters.flatMap((parameter) => {
      const variable = weights[parameter.weight]?.read() as Variable | undefined;
      return variable ? [{ parameter, variable }] : [];
    });
    return new Regularization(tf, calls, trained);
  }

  /**
   * Computes the penalty of the current weights and adds its gradient to a copy of `gradient`, which is not changed since other workers
   * may still be reading it. Leaves no tensors behind.
   * @throws ModelError if a regularizer calls Math.random
   */
  add(gradient: PinnedVector): Regularized {
    const sum = this.#sum;
    sum.set(gradient);
    const penalty = this.#tf.tidy(() => {
      const { value, grads } = withoutMathRandom(drawsRandom, () =>
        (this.#tf.engine() as unknown as GradientEngine).gradients(
          () => this.#penalty(),
          this.#parameters.map(({ variable }) => variable),
          null,
          // All weights with a regularizer may be frozen.
          true,
        ),
      );
      for (const [p, { parameter }] of this.#parameters.entries()) {
        const values = grads[p]?.dataSync<'float32'>();
        if (!values) continue;
        for (let i = 0; i < parameter.size; i++)
          sum[parameter.offset + i] = (sum[parameter.offset + i] as number) + (values[i] as number);
      }
      return value.dataSync()[0] ?? Number.NaN;
    });
    return { penalty, gradient: sum };
  }

  #penalty(): Scalar {
    const penalties: Tensor[] = this.#calls.flatMap((layer) => layer.calculateLosses());
    return penalties.reduce((total, penalty) => this.#tf.add(total, penalty)).asScalar();
  }
}
