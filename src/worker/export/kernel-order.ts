/** The order of a convolution's kernel in PyTorch and ONNX. */

/**
 * Returns the index in a kernel [height, width, in, out] of each value of [out, in, height, width], in the latter's order.
 * @param shape of the kernel in tfjs's order
 */
export function outInHeightWidth(shape: readonly number[]): Uint32Array {
  const [height = 0, width = 0, channels = 0, filters = 0] = shape;
  const order = new Uint32Array(height * width * channels * filters);
  let to = 0;
  for (let f = 0; f < filters; f++)
    for (let c = 0; c < channels; c++)
      for (let h = 0; h < height; h++)
        for (let w = 0; w < width; w++) order[to++] = ((h * width + w) * channels + c) * filters + f;
  return order;
}
