/** Calls one operation again and again with equal inputs, and compares every bit of its outputs. */

import type { Precision } from '../../shared/config/run-config.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { recordOps } from '../kernels/record-ops.js';
import { DistinctOutputs, type Values } from './distinct-outputs.js';
import type { FreeMemory } from './free-memory.js';
import type { NumericsCase, Output } from './numerics-case.js';

export interface NumericsResult {
  readonly operation: string;
  /** The TensorFlow ops that one call executes, each once. */
  readonly tensorflowOps: readonly string[];
  readonly shapes: string;
  readonly precision: Precision;
  readonly calls: number;
  /** Number of distinct outputs among the calls. */
  readonly distinct: number;
  /** Number of calls whose output had a NaN or an infinity. */
  readonly nonFinite: number;
  /** One output, which is finite. */
  readonly stable: boolean;
}

/** Each call finds free memory full of NaN. Leaves no tensor behind. */
export function checkCase(
  tf: Tensorflow,
  memory: FreeMemory,
  { operation, shapes, precision, prepare }: NumericsCase,
  calls: number,
): NumericsResult {
  const outputs = new DistinctOutputs();
  let ops: string[] = [];
  tf.engine().startScope();
  try {
    const prepared = prepare();
    const { call, release } =
      typeof prepared === 'function' ? { call: prepared, release: undefined } : prepared;
    ops = recordOps(tf, () => tf.tidy(() => void call())).map(({ name }) => name);
    for (let i = 0; i < calls; i++) {
      memory.fillWithNaN();
      tf.tidy(() => outputs.add(call().map(valuesOf)));
    }
    release?.();
  } finally {
    tf.engine().endScope();
  }
  const { distinct, nonFinite } = outputs;
  const stable = distinct === 1 && nonFinite === 0;
  return {
    operation,
    tensorflowOps: [...new Set(ops)],
    shapes,
    precision,
    calls,
    distinct,
    nonFinite,
    stable,
  };
}

function valuesOf(output: Output): Values {
  return ArrayBuffer.isView(output) ? output : output.dataSync();
}
