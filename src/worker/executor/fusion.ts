/**
 * Which neighbours of a BatchNormalization are computed together with it: the ReLU and the 2x2 max-pool after it, which then
 * cost no pass over memory of their own, and the bias before it, which BatchNorm cancels. Pure; changes no layer.
 */

import type { Graph, GraphNode } from './graph.js';
import { fieldsOf, type Layer, type LayerVariable } from './layer-op.js';

/** A node of the model, or a BatchNormalization with what was drawn into it. */
export interface FusedNode extends GraphNode {
  /** Number of the node in topological order, whatever is fused: keys the random streams and names the exchanges. */
  readonly index: number;
  readonly relu: boolean;
  readonly pool: boolean;
  /** Conv2D or Dense whose output goes to a BatchNormalization alone: no bias in training. */
  readonly biasCancelled: boolean;
  /** BatchNormalization: the bias that the layer before it left out. */
  readonly cancelledBias: LayerVariable | undefined;
}

export function fuse({ nodes, outputs }: Graph): FusedNode[] {
  const consumers = new Map<number, GraphNode[]>();
  for (const node of nodes)
    for (const slot of node.inputs) consumers.set(slot, [...(consumers.get(slot) ?? []), node]);
  /** The one node that reads all there is of `node`; undefined when there are several or the model gives it out. */
  const only = (node: GraphNode): GraphNode | undefined => {
    const [slot] = node.outputs;
    if (slot === undefined || outputs.includes(slot)) return undefined;
    const readers = consumers.get(slot) ?? [];
    return readers.length === 1 ? readers[0] : undefined;
  };

  const drawnIn = new Set<GraphNode>();
  const cancelled = new Map<GraphNode, LayerVariable>();
  const fused: FusedNode[] = [];
  for (const [index, node] of nodes.entries()) {
    if (drawnIn.has(node)) continue;
    const next = only(node);
    const biasCancelled =
      next !== undefined && isBatchNorm(next.layer) && cancellableBias(node.layer) !== undefined;
    if (biasCancelled) cancelled.set(next, cancellableBias(node.layer) as LayerVariable);
    const plain = {
      ...node,
      index,
      relu: false,
      pool: false,
      biasCancelled,
      cancelledBias: cancelled.get(node),
    };
    if (!isBatchNorm(node.layer)) {
      fused.push(plain);
      continue;
    }
    let last = node;
    const draw = (wanted: (layer: Layer) => boolean): boolean => {
      const reader = only(last);
      if (!reader || !wanted(reader.layer)) return false;
      drawnIn.add(reader);
      last = reader;
      return true;
    };
    const relu = draw(isRelu);
    const pool = draw(isHalvingPool);
    fused.push({ ...plain, relu, pool, outputs: last.outputs });
  }
  return fused;
}

const isBatchNorm = (layer: Layer): boolean => layer.getClassName() === 'BatchNormalization';

function isRelu(layer: Layer): boolean {
  if (layer.getClassName() === 'Activation') return layer.getConfig()['activation'] === 'relu';
  const { maxValue } = fieldsOf<{ maxValue?: number | null }>(layer);
  return layer.getClassName() === 'ReLU' && (maxValue ?? undefined) === undefined;
}

interface PoolFields {
  readonly poolSize: readonly number[];
  readonly strides: readonly number[];
  readonly dataFormat: string;
}

function isHalvingPool(layer: Layer): boolean {
  if (layer.getClassName() !== 'MaxPooling2D') return false;
  const { poolSize, strides, dataFormat } = fieldsOf<PoolFields>(layer);
  const shapes: unknown = layer.inboundNodes[0]?.inputShapes;
  const shape: unknown = Array.isArray(shapes) && Array.isArray(shapes[0]) ? shapes[0] : shapes;
  const even =
    Array.isArray(shape) && [shape[1], shape[2]].every((size) => typeof size === 'number' && size % 2 === 0);
  return dataFormat === 'channelsLast' && even && [...poolSize, ...strides].every((size) => size === 2);
}

/** The bias of a layer that is linear after it. */
function cancellableBias(layer: Layer): LayerVariable | undefined {
  if (!['Conv2D', 'Dense'].includes(layer.getClassName())) return undefined;
  const { bias, dataFormat } = fieldsOf<{ bias?: LayerVariable | null; dataFormat?: string }>(layer);
  const linear = (layer.getConfig()['activation'] ?? 'linear') === 'linear';
  return linear && (dataFormat ?? 'channelsLast') === 'channelsLast' ? (bias ?? undefined) : undefined;
}
