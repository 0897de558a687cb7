/** The padding of a convolution or a pooling in ONNX. onnxruntime computes none for dilated kernels, nor for strides beyond the kernel. */

import { ModelError } from '../../shared/errors.js';
import type { Padding, Shape } from './graph-writer.js';
import type { Attribute } from './onnx-messages.js';

export interface Window {
  readonly name: string;
  /** Sizes in the order height, width; so are strides and dilations. */
  readonly size: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly padding: Padding;
}

/**
 * Returns the padding before and after an axis, as TensorFlow's `same` has it: the output has ceil(length / stride) elements, and an
 * odd element of padding comes last.
 * @param length of the input; null if it is known at run time only
 * @returns undefined if the padding depends on a length that is not known
 */
function samePadding(
  length: number | null,
  size: number,
  stride: number,
  dilation: number,
): readonly [number, number] | undefined {
  const extent = (size - 1) * dilation + 1;
  if (length === null && stride > 1) return undefined;
  const steps = length === null ? 0 : Math.ceil(length / stride) - 1;
  const total = length === null ? extent - 1 : Math.max(0, steps * stride + extent - length);
  const before = Math.floor(total / 2);
  return [before, total - before];
}

/**
 * Returns the attributes of a window that moves over [batch, height, width, channels].
 * @throws ModelError if neither the exporter nor onnxruntime can compute the padding
 */
export function paddingAttributes(
  shape: Shape,
  { name, size, strides, dilations, padding }: Window,
): Record<string, Attribute> {
  if (padding === 'valid') return { auto_pad: 'VALID' };
  const pairs = size.map((length, i) =>
    samePadding(shape[i + 1] ?? null, length, strides[i] ?? 1, dilations[i] ?? 1),
  );
  const known = pairs.filter((pair) => pair !== undefined);
  if (known.length === pairs.length)
    return { pads: [...known.map(([before]) => before), ...known.map(([, after]) => after)] };
  const isDilated = dilations.some((dilation) => dilation > 1);
  const skips = size.some((length, i) => length < (strides[i] ?? 1));
  if (!isDilated && !skips) return { auto_pad: 'SAME_UPPER' };
  throw new ModelError(
    `Export to ONNX: layer "${name}": expected an input of fixed height and width, got ${shape.slice(1, 3).join(' x ')}: ` +
      `onnxruntime computes no padding "same" with ${isDilated ? 'dilations' : 'strides beyond the kernel'}. Give the model an ` +
      'inputShape with sizes, or use --format tfjs.',
  );
}

/**
 * Returns the attributes of a transposed convolution, of which tfjs's output has length * stride elements, and with padding `valid`
 * and a kernel beyond the stride the difference more.
 */
export function transposedPadding(
  size: readonly number[],
  strides: readonly number[],
  padding: Padding,
): Record<string, Attribute> {
  const beyond = size.map((length, i) => length - (strides[i] ?? 1));
  const totals = beyond.map((more) => (padding === 'same' ? Math.max(0, more) : 0));
  return {
    pads: [
      ...totals.map((total) => Math.floor(total / 2)),
      ...totals.map((total) => total - Math.floor(total / 2)),
    ],
    output_padding: beyond.map((more) => Math.max(0, -more)),
  };
}
