/**
 * Fuses a BatchNormalization with its neighbours: the ReLU or ReLU6 and the 2x2 max-pool after it, which then need no pass over
 * memory of their own, and the bias before it, which BatchNorm cancels. Pure; no layer is changed.
 */

import type { Graph, GraphNode } from './graph.js';
import { fieldsOf, type Layer, type LayerVariable } from './layer.js';

/** A node of the model, or a BatchNormalization with the nodes that are fused into it. */
export interface FusedNode extends GraphNode {
  /** Index of the node in topological order before fusion: keys the random streams and names the collectives. */
  readonly index: number;
  readonly activation: 'linear' | 'relu' | 'relu6';
  readonly pool: boolean;
  /** True for a Conv2D or Dense whose only reader is a BatchNormalization: its bias is left out in training. */
  readonly biasCancelled: boolean;
  /** For a BatchNormalization, the bias that the previous layer leaves out. */
  readonly cancelledBias: LayerVariable | undefined;
}

export interface FusionOptions {
  /** False keeps the activation and the pool after a BatchNormalization as nodes of their own. */
  readonly tails: boolean;
  /** True if the engine computes a ReLU6 together with a BatchNormalization. */
  readonly relu6: boolean;
  /** Returns true for a BatchNormalization that normalizes by the batch. */
  readonly isBatchNorm: (layer: Layer) => boolean;
}

export function fuse({ nodes, outputs }: Graph, { tails, relu6, isBatchNorm }: FusionOptions): FusedNode[] {
  const consumers = new Map<number, GraphNode[]>();
  for (const node of nodes)
    for (const valueId of node.inputs) consumers.set(valueId, [...(consumers.get(valueId) ?? []), node]);
  /** Returns the only reader of `node`; undefined if there are several, or if it is an output of the model. */
  const soleReader = (node: GraphNode): GraphNode | undefined => {
    const [valueId] = node.outputs;
    if (valueId === undefined || outputs.includes(valueId)) return undefined;
    const readers = consumers.get(valueId) ?? [];
    return readers.length === 1 ? readers[0] : undefined;
  };

  const fusedAway = new Set<GraphNode>();
  const cancelled = new Map<GraphNode, LayerVariable>();
  const fused: FusedNode[] = [];
  for (const [index, node] of nodes.entries()) {
    if (fusedAway.has(node)) continue;
    const next = soleReader(node);
    const biasCancelled =
      next !== undefined && isBatchNorm(next.layer) && cancellableBias(node.layer) !== undefined;
    if (biasCancelled) cancelled.set(next, cancellableBias(node.layer) as LayerVariable);
    const plain = {
      ...node,
      index,
      activation: 'linear' as const,
      pool: false,
      biasCancelled,
      cancelledBias: cancelled.get(node),
    };
    if (!isBatchNorm(node.layer)) {
      fused.push(plain);
      continue;
    }
    let last = node;
    const absorb = (wanted: (reader: GraphNode) => boolean): boolean => {
      const reader = soleReader(last);
      if (reader?.kind !== 'layer' || !wanted(reader)) return false;
      fusedAway.add(reader);
      last = reader;
      return true;
    };
    let activation: FusedNode['activation'] = 'linear';
    if (tails && absorb(isRelu)) activation = 'relu';
    else if (tails && relu6 && absorb(isRelu6)) activation = 'relu6';
    const pool = tails && absorb(isHalvingPool);
    fused.push({ ...plain, activation, pool, outputs: last.outputs });
  }
  return fused;
}

function isRelu({ layer }: GraphNode): boolean {
  if (layer.getClassName() === 'Activation') return layer.getConfig()['activation'] === 'relu';
  const { maxValue } = fieldsOf<{ maxValue?: number | null }>(layer);
  return layer.getClassName() === 'ReLU' && (maxValue ?? undefined) === undefined;
}

function isRelu6({ layer }: GraphNode): boolean {
  if (layer.getClassName() === 'Activation') return layer.getConfig()['activation'] === 'relu6';
  return layer.getClassName() === 'ReLU' && fieldsOf<{ maxValue?: number | null }>(layer).maxValue === 6;
}

interface PoolFields {
  readonly poolSize: readonly number[];
  readonly strides: readonly number[];
  readonly dataFormat: string;
}

function isHalvingPool({ layer, inputShapes: [shape] }: GraphNode): boolean {
  if (layer.getClassName() !== 'MaxPooling2D') return false;
  const { poolSize, strides, dataFormat } = fieldsOf<PoolFields>(layer);
  const even = [shape?.[1], shape?.[2]].every((size) => typeof size === 'number' && size % 2 === 0);
  return dataFormat === 'channelsLast' && even && [...poolSize, ...strides].every((size) => size === 2);
}

/** Returns the bias of a layer without an activation after it. */
function cancellableBias(layer: Layer): LayerVariable | undefined {
  if (!['Conv2D', 'Dense'].includes(layer.getClassName())) return undefined;
  const { bias, dataFormat } = fieldsOf<{ bias?: LayerVariable | null; dataFormat?: string }>(layer);
  const linear = (layer.getConfig()['activation'] ?? 'linear') === 'linear';
  return linear && (dataFormat ?? 'channelsLast') === 'channelsLast' ? (bias ?? undefined) : undefined;
}
