/**
 * One LSTM, GRU or SimpleRNN, run over all time steps by the engine's recurrence. Its dropout draws the numbers that a recorded call of
 * the layer would draw, in the same order.
 */

import type { Tensor, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { GradientWriter } from '../../kernels/kernels.js';
import {
  cellActivations,
  statesOf,
  type CellActivation,
  type CellKind,
  type RecurrenceOptions,
  type RunRecurrence,
} from '../../kernels/recurrence.js';
import { fieldsOf, type Layer, type LayerVariable } from '../layer.js';
import type { ActiveShard, LayerServices, PassContext } from '../layer-op.js';
import type { RandomDraws } from './random-draws.js';

interface CellFields {
  readonly kernel: LayerVariable;
  readonly recurrentKernel: LayerVariable;
  readonly bias: LayerVariable | null;
  readonly activation: { getClassName(): string };
  readonly recurrentActivation?: { getClassName(): string };
  readonly dropout: number;
  readonly recurrentDropout: number;
}

interface RecurrentFields {
  readonly cell: CellFields;
  readonly goBackwards: boolean;
}

/** Kinds by the class names of tfjs's layers, and how many masks a cell draws for each dropout, of which it uses the first. */
const kinds: Readonly<Record<string, { readonly kind: CellKind; readonly masks: number }>> = {
  LSTM: { kind: 'lstm', masks: 4 },
  GRU: { kind: 'gru', masks: 3 },
  SimpleRNN: { kind: 'simpleRnn', masks: 1 },
};

/** The arguments of a call for one shard. */
export interface CellCall {
  /** [samples, time, features] */
  readonly x: Tensor3D;
  /** The states before the first step, [samples, units] each; none for zeros. */
  readonly states: readonly Tensor[];
  /** [samples, time] */
  readonly mask: Tensor2D | undefined;
  /** Undefined in inference. */
  readonly draws: RandomDraws | undefined;
}

export interface CellPass {
  /** Returns the hidden states, [samples, time, units], in the order of the input's time. */
  hidden(): Tensor3D;
  /** Returns a state after the last step: 0 is the hidden state, 1 the carry of an LSTM. */
  last(state: number): Tensor2D;
  /**
   * Passes the gradients of the weights to `context`, deferred. Returns the gradient of the input, if it is needed, followed by those
   * of the states.
   */
  backward(
    context: PassContext,
    shard: ActiveShard,
    hidden: Tensor | undefined,
    last: readonly Tensor[] | undefined,
  ): Tensor[];
}

export class RecurrentCell {
  readonly #services: LayerServices;
  readonly #run: RunRecurrence;
  readonly #options: RecurrenceOptions;
  readonly #fields: CellFields;
  readonly #masks: number;
  readonly #trained: ReadonlySet<LayerVariable>;

  /** Returns undefined if the engine's recurrence does not compute the layer. */
  static of(layer: Layer, services: LayerServices): RecurrentCell | undefined {
    const { recurrence } = services.kernels;
    const known = kinds[layer.getClassName()];
    if (!recurrence || !known) return undefined;
    const { cell, goBackwards } = fieldsOf<RecurrentFields>(layer);
    const activation = cell.activation.getClassName();
    const recurrentActivation = cell.recurrentActivation?.getClassName() ?? 'linear';
    if (!isKnown(activation) || !isKnown(recurrentActivation)) return undefined;
    const options = { kind: known.kind, activation, recurrentActivation, backwards: goBackwards };
    const trained = new Set<LayerVariable>(layer.trainableWeights);
    return new RecurrentCell(services, recurrence, options, cell, known.masks, trained);
  }

  private constructor(
    services: LayerServices,
    run: RunRecurrence,
    options: RecurrenceOptions,
    fields: CellFields,
    masks: number,
    trained: ReadonlySet<LayerVariable>,
  ) {
    this.#services = services;
    this.#run = run;
    this.#options = options;
    this.#fields = fields;
    this.#masks = masks;
    this.#trained = trained;
  }

  get backwards(): boolean {
    return this.#options.backwards;
  }

  get stateCount(): number {
    return statesOf[this.#options.kind];
  }

  forward({ x, states, mask, draws }: CellCall): CellPass {
    const { tf, kernels } = this.#services;
    const { kernel, recurrentKernel, bias, dropout, recurrentDropout } = this.#fields;
    const [samples, time, features] = x.shape;
    const recurrentWeights = recurrentKernel.read() as Tensor2D;
    const inputMask = this.#dropoutMask(draws, dropout, [samples, features]);
    const hiddenMask = this.#dropoutMask(draws, recurrentDropout, [samples, recurrentWeights.shape[0]]);
    const alongTime = inputMask && tf.expandDims<Tensor3D>(inputMask, 1);
    const input = alongTime ? tf.mul<Tensor3D>(x, alongTime) : x;
    const rows: Tensor2D = tf.reshape(input, [samples * time, features]);
    const weights = kernels.operand(kernel.read() as Tensor2D);
    const columns = weights.shape[1];
    const product = kernels.matMul(kernels.operand(rows), weights, false, false);
    const pass = this.#run(this.#options, {
      projected: tf.reshape(product, [samples, time, columns]),
      recurrentKernel: recurrentWeights,
      bias: bias ? (bias.read() as Tensor1D) : undefined,
      mask: mask && tf.cast<Tensor2D>(mask, 'float32'),
      dropout: hiddenMask,
      initial: states.length > 0 ? (tf.stack([...states]) as Tensor3D) : undefined,
    });
    return {
      hidden: pass.hidden,
      last: pass.last,
      backward: (context, shard, dHidden, dLast) => {
        const { projected: dy, initial } = pass.backward(dHidden, dLast);
        context.defer(() => {
          this.#give(context, shard, kernel, () => kernels.denseGradient(rows, dy));
          this.#give(context, shard, recurrentKernel, () => pass.recurrentKernelGradient(dy));
          if (bias) this.#give(context, shard, bias, () => kernels.columnSums(dy));
        });
        const initialGradients = states.length > 0 ? tf.unstack(initial()) : [];
        if (!this.#services.needsInputGradient) return [];
        const dRows = kernels.matMul(kernels.operand(dy), weights, false, true);
        const dInput = tf.reshape(dRows, [samples, time, features]);
        return [alongTime ? tf.mul(dInput, alongTime) : dInput, ...initialGradients];
      },
    };
  }

  #give(
    context: PassContext,
    shard: ActiveShard,
    weight: LayerVariable,
    gradientOf: () => Tensor | GradientWriter,
  ): void {
    if (!this.#trained.has(weight)) return;
    const gradient = gradientOf();
    context.gradient(this.#services.weightIndex(weight), shard, gradient);
    if (typeof gradient !== 'function') gradient.dispose();
  }

  /** The factors of one dropout for all time steps; undefined if nothing is dropped. */
  #dropoutMask(
    draws: RandomDraws | undefined,
    rate: number,
    shape: readonly [number, number],
  ): Tensor2D | undefined {
    if (!draws || rate <= 0 || rate >= 1) return undefined;
    const mask = draws.dropped(this.#services.tf.ones([...shape]), rate) as Tensor2D;
    draws.skip(this.#masks - 1);
    return mask;
  }
}

const isKnown = (activation: string): activation is CellActivation => activation in cellActivations;
