/**
 * Converts a tf.LayersModel into a list of nodes in the topological order in which tfjs itself calls the layers. Nested models
 * are dissolved, so that a BatchNormalization in a nested block is synchronized like any other. The executor also dissolves a
 * TimeDistributed around a BatchNormalization. The model is only read.
 */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { InvariantError, ModelError } from '../../shared/errors.js';
import { containsBatchNorm } from './inner-layers.js';
import { fieldsOf, type Layer } from './layer.js';
import { isContainer } from './model-weights.js';

/** The shape of a value; null for a dimension that is not known before the model runs. */
export type SymbolicShape = readonly (number | null)[];

/** One call of one layer. Its inputs and outputs are ids of the values that flow between nodes. */
export interface GraphNode {
  readonly layer: Layer;
  /** `unstack` and `stack` are the ends of a dissolved TimeDistributed, which is their `layer`; they have no weights. */
  readonly kind: 'layer' | 'unstack' | 'stack';
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly inputShapes: readonly SymbolicShape[];
  /** Shapes of the outputs of this call; empty within a dissolved TimeDistributed. */
  readonly outputShapes: readonly SymbolicShape[];
  /** Index in `Graph.scopes` of the model call that the node belongs to. */
  readonly scope: number;
}

/** A call of a model: of the whole model (the first), or of a nested one. */
export interface GraphScope {
  readonly parent: number;
  /** Values that the model is called with. */
  readonly inputs: readonly number[];
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly scopes: readonly GraphScope[];
}

interface InboundNode {
  /** Arguments that the model's author passed to `apply` beside the inputs. */
  readonly callArgs?: Readonly<Record<string, unknown>> | null;
  readonly inputTensors: readonly SymbolicTensor[];
  readonly outputTensors: readonly SymbolicTensor[];
}

/** A model as tfjs's Container, which may also take the place of a layer. Of an ordinary layer, only `inboundNodes` is used. */
interface ContainerFields {
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  readonly inboundNodes: readonly InboundNode[];
}

/** The symbolic tensors of one call of a model that have values. */
interface Scope {
  readonly index: number;
  readonly values: Map<number, number>;
}

/**
 * @param dissolveTimeDistributed calls the inner layer of a TimeDistributed that contains a BatchNormalization once per time step
 * @throws ModelError if the model is not built, or an output does not depend on its inputs
 */
export function buildGraph(model: LayersModel, dissolveTimeDistributed = false): Graph {
  // A Sequential has no inputs until its first layer has an input shape.
  if ((model.inputs as unknown) === undefined || model.inputs.length === 0) {
    throw new ModelError(
      `Model "${model.name}": expected a built model, got one without an input shape. ` +
        'Give the first layer an inputShape.',
    );
  }
  return new GraphBuilder(model.name, dissolveTimeDistributed).build(fieldsOf<ContainerFields>(model));
}

/** Classes of layers that compute something else in training than in inference. */
const dependsOnTraining =
  /^(BatchNormalization|Dropout|SpatialDropout1D|AlphaDropout|GaussianDropout|GaussianNoise|Random\w*|RNN|SimpleRNN|GRU|LSTM|ConvLSTM2D|Bidirectional|MultiHeadAttention|TimeDistributed)$/;

/** A node without its outputs. */
interface Call extends Omit<GraphNode, 'kind' | 'outputs'> {
  readonly outputCount: number;
}

class GraphBuilder {
  readonly #modelName: string;
  readonly #dissolveTimeDistributed: boolean;
  readonly #nodes: GraphNode[] = [];
  readonly #scopes: GraphScope[] = [];
  #values = 0;

  constructor(modelName: string, dissolveTimeDistributed: boolean) {
    this.#modelName = modelName;
    this.#dissolveTimeDistributed = dissolveTimeDistributed;
  }

  build(model: ContainerFields): Graph {
    const inputs = model.inputs.map(() => this.#values++);
    const outputs = this.#callModel(model, inputs, 0);
    return { nodes: this.#nodes, inputs, outputs, scopes: this.#scopes };
  }

  #callModel(model: ContainerFields, inputs: readonly number[], parent: number): number[] {
    const scope = { index: this.#scopes.length, values: new Map<number, number>() };
    this.#scopes.push({ parent, inputs });
    for (const [i, input] of model.inputs.entries()) scope.values.set(input.id, inputs[i] ?? -1);
    return model.outputs.map((output) => this.#resolve(output, scope));
  }

  /** Returns the value id of a symbolic tensor, after adding the nodes that compute it. */
  #resolve(tensor: SymbolicTensor, scope: Scope): number {
    const known = scope.values.get(tensor.id);
    if (known !== undefined) return known;
    const layer = tensor.sourceLayer;
    const inbound = fieldsOf<ContainerFields>(layer).inboundNodes[tensor.nodeIndex];
    if (!inbound || inbound.inputTensors.some((input) => input.id === tensor.id)) {
      throw new ModelError(
        `Model "${this.#modelName}": layer "${layer.name}" is not connected to the model's inputs.`,
      );
    }
    this.#refuseFixedMode(layer, inbound);
    const inputs: number[] = [];
    // tfjs computes the last input first. The order matters to a BatchNormalization that is called twice.
    for (const [i, input] of [...inbound.inputTensors.entries()].reverse())
      inputs[i] = this.#resolve(input, scope);
    const { inputTensors, outputTensors } = inbound;
    const outputs = this.#call({
      layer,
      inputs,
      inputShapes: inputTensors.map(({ shape }) => shape),
      outputShapes: outputTensors.map(({ shape }) => shape),
      outputCount: outputTensors.length,
      scope: scope.index,
    });
    for (const [i, output] of inbound.outputTensors.entries()) scope.values.set(output.id, outputs[i] ?? -1);
    const valueId = scope.values.get(tensor.id);
    if (valueId === undefined)
      throw new InvariantError(`layer "${layer.name}" has an output without a value`);
    return valueId;
  }

  /**
   * tfjs heeds the argument `training` of a call in nested models only, and not in a model's own `fit` and `predict`.
   * @throws ModelError if the argument could change the result
   */
  #refuseFixedMode(layer: Layer, { callArgs }: InboundNode): void {
    const training = callArgs?.['training'];
    if (
      typeof training !== 'boolean' ||
      !(isContainer(layer) || dependsOnTraining.test(layer.getClassName()))
    )
      return;
    throw new ModelError(
      `Model "${this.#modelName}": expected a call of layer "${layer.name}" without \`training\`, got training: ${training}. Whether ` +
        'a step is a training step is decided by the command. Remove the argument; to keep a layer unchanged, set `trainable` to false.',
      { layer: layer.name },
    );
  }

  #call(call: Call): number[] {
    const { layer, inputs, scope } = call;
    if (isContainer(layer)) return this.#callModel(fieldsOf<ContainerFields>(layer), inputs, scope);
    if (
      this.#dissolveTimeDistributed &&
      layer.getClassName() === 'TimeDistributed' &&
      containsBatchNorm(layer)
    )
      return this.#callPerTimeStep(call);
    return this.#add(call, 'layer');
  }

  /** Calls the inner layer of a TimeDistributed once per time step, as tfjs does. */
  #callPerTimeStep(call: Call): number[] {
    const { layer, scope, inputShapes } = call;
    const { layer: inner } = fieldsOf<{ layer: Layer }>(layer);
    const [shape = []] = inputShapes;
    const [samples = null, timeSteps, ...rest] = shape;
    if (typeof timeSteps !== 'number') {
      throw new ModelError(
        `Layer "${layer.name}" (TimeDistributed): expected a known number of time steps, since it contains a ` +
          `BatchNormalization, got the input shape [${shape.map(String).join(', ')}]. Give the model's input its length.`,
      );
    }
    const stepShape = [samples, ...rest];
    const steps = this.#add({ ...call, outputShapes: [], outputCount: timeSteps }, 'unstack');
    const outputs = steps.flatMap((step) =>
      this.#call({
        layer: inner,
        inputs: [step],
        inputShapes: [stepShape],
        outputShapes: [],
        outputCount: 1,
        scope,
      }),
    );
    return this.#add({ ...call, inputs: outputs, inputShapes: [] }, 'stack');
  }

  #add({ outputCount, ...call }: Call, kind: GraphNode['kind']): number[] {
    const outputs = Array.from({ length: outputCount }, () => this.#values++);
    this.#nodes.push({ ...call, kind, outputs });
    return outputs;
  }
}
