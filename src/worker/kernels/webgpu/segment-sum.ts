/**
 * UnsortedSegmentSum with a fixed order of sums: the rows of a segment are added in the order of their index. It is the gradient of an
 * Embedding and of `gather`. The first shader finds the next row of the same segment for each row; the second one follows these links.
 */

import type { TensorInfo } from '@tensorflow/tfjs-core';
import { elementCount } from '../../../shared/model/layout.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import type { GpuBackend, GpuProgram } from '../../engine/webgpu/gpu-types.js';
import { replaceKernel } from '../tfjs-kernels.js';
import { flatProgram } from './program.js';
import { int } from './shaders.js';

/** For row i, links[2i] is the next row of its segment, or -1, and links[2i + 1] is 1 if no earlier row has the same segment. */
const linkCode = `
  fn main(index : i32) {
    if (index < uniforms.rows) {
      let segment = segmentIds[index];
      var next = -1;
      for (var i = index + 1; i < uniforms.rows; i = i + 1) {
        if (segmentIds[i] == segment) { next = i; break; }
      }
      var isFirst = 1;
      for (var i = 0; i < index; i = i + 1) {
        if (segmentIds[i] == segment) { isFirst = 0; break; }
      }
      result[2 * index] = next;
      result[2 * index + 1] = isFirst;
    }
  }
`;

/** Each invocation adds one column of the segment that begins at its row. Rows with an index out of range are left out. */
const sumCode = `
  fn main(index : i32) {
    if (index < uniforms.rows * uniforms.columns) {
      let row = index / uniforms.columns;
      let column = index - row * uniforms.columns;
      let segment = segmentIds[row];
      if (links[2 * row + 1] == 1 && segment >= 0 && segment < uniforms.segments) {
        var sum = x[index];
        for (var i = links[2 * row]; i >= 0; i = links[2 * i]) {
          sum = sum + x[i * uniforms.columns + column];
        }
        result[segment * uniforms.columns + column] = sum;
      }
    }
  }
`;

function programs(rows: number, columns: number, segments: number): readonly [GpuProgram, GpuProgram] {
  return [
    flatProgram({
      key: 'lockstepSegmentLinks',
      inputs: ['segmentIds'],
      uniforms: 'rows : i32,',
      invocations: rows,
      outputShape: [2 * rows],
      code: linkCode,
    }),
    flatProgram({
      key: 'lockstepSegmentSum',
      inputs: ['x', 'segmentIds', 'links'],
      uniforms: 'rows : i32, columns : i32, segments : i32,',
      invocations: rows * columns,
      outputShape: [segments, columns],
      code: sumCode,
    }),
  ];
}

/** Replaces the backend's kernel. */
export function registerSegmentSum(tf: Tensorflow, backendName: string): void {
  const kernelName = 'UnsortedSegmentSum';
  replaceKernel(tf, {
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) => {
      const gpu = backend as unknown as GpuBackend;
      const { x, segmentIds } = inputs as { x: TensorInfo; segmentIds: TensorInfo };
      const { numSegments } = attrs as unknown as { numSegments: number };
      const [rows = 0, ...rest] = x.shape;
      const columns = elementCount(rest);
      const zero = tf.getKernel('Fill', backendName).kernelFunc({
        inputs: {},
        attrs: { shape: [numSegments, columns], value: 0, dtype: x.dtype },
        backend,
      }) as TensorInfo;
      const shape = [numSegments, ...rest];
      if (rows === 0 || columns === 0 || numSegments === 0) return { ...zero, shape };
      const [link, sum] = programs(rows, columns, numSegments);
      const links = gpu.runWebGPUProgram(link, [segmentIds], 'int32', int(rows));
      const flat = { ...x, shape: [rows, columns] };
      gpu.runWebGPUProgram(sum, [flat, segmentIds, links], x.dtype, int(rows, columns, numSegments), zero);
      gpu.disposeData(links.dataId);
      return { ...zero, shape };
    },
  });
}
