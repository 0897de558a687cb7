/**
 * tfjs's `unsortedSegmentSum`, the gradient of an Embedding: only the rows of segments that occur are computed. The kernel of tfjs's
 * JavaScript backend, whose bits these are, passes over all of `x` once per segment. It sums in float64 and rounds once.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { elementCount } from '../../../shared/model/layout.js';
import type { WasmModule } from './module.js';

/** @param ids int32, with the shape of the leading axes of `x`; a number outside [0, segments) belongs to no segment */
export function segmentSum(module: WasmModule, x: TensorInfo, ids: TensorInfo, segments: number): TensorInfo {
  const count = elementCount(ids.shape);
  const inner = x.shape.slice(ids.shape.length);
  const columns = elementCount(inner);
  const result = module.info([segments, ...inner]);
  const values = module.floats(module.address(x), count * columns);
  const sums = module.floats(module.address(result), segments * columns);
  sums.fill(0);
  for (const [segment, rows] of rowsBySegment(module.integers(module.address(ids), count), segments)) {
    const sum = new Float64Array(columns);
    for (const row of rows) {
      const from = row * columns;
      for (let c = 0; c < columns; c++) sum[c] = (sum[c] as number) + (values[from + c] as number);
    }
    sums.set(sum, segment * columns);
  }
  return result;
}

function rowsBySegment(ids: Int32Array, segments: number): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const [row, segment] of ids.entries()) {
    if (segment < 0 || segment >= segments) continue;
    const rows = found.get(segment);
    if (rows) rows.push(row);
    else found.set(segment, [row]);
  }
  return found;
}
