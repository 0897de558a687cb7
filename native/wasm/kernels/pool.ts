/**
 * Max-pool of channels-last images with any window, forward and backward. On ties the gradient goes to the first
 * maximum in row-major order, and a window's first NaN is its maximum, as in PyTorch.
 */

/**
 * The address of the largest element of the window at (top, left); 0 if no element of the window is inside the image.
 */
function largestInWindow(
  image: usize,
  height: i32,
  width: i32,
  pixelBytes: i32,
  top: i32,
  left: i32,
  windowHeight: i32,
  windowWidth: i32,
): usize {
  let largest: usize = 0;
  let value: f32 = 0;
  for (let row = max(0, top); row < min(height, top + windowHeight); row++) {
    for (let column = max(0, left); column < min(width, left + windowWidth); column++) {
      const at = image + (row * width + column) * pixelBytes;
      const x = f32.load(at);
      // x != x is true for NaN alone.
      if (largest == 0 || x > value || (x != x && value == value)) {
        largest = at;
        value = x;
      }
    }
  }
  return largest;
}

/**
 * Forward, if `dx` is 0: writes the pooled images to y[images, outHeight, outWidth, channels]. Backward otherwise: `y`
 * holds the gradient of the pooled images, and dx[images, height, width, channels] is set to the gradient of x. (top,
 * left) is the padding before the first pixel.
 */
export function maxPool(
  x: usize,
  images: i32,
  height: i32,
  width: i32,
  channels: i32,
  windowHeight: i32,
  windowWidth: i32,
  strideY: i32,
  strideX: i32,
  top: i32,
  left: i32,
  outHeight: i32,
  outWidth: i32,
  y: usize,
  dx: usize,
): void {
  const pixelBytes = channels * 4;
  const imageBytes = height * width * pixelBytes;
  if (dx != 0) memory.fill(dx, 0, images * imageBytes);
  for (let image = 0; image < images; image++) {
    for (let row = 0; row < outHeight; row++) {
      for (let column = 0; column < outWidth; column++) {
        for (let channel = 0; channel < channels; channel++) {
          const at = largestInWindow(
            x + image * imageBytes + channel * 4,
            height,
            width,
            pixelBytes,
            row * strideY - top,
            column * strideX - left,
            windowHeight,
            windowWidth,
          );
          if (dx == 0) f32.store(y, f32.load(at));
          else f32.store(dx + (at - x), f32.load(dx + (at - x)) + f32.load(y));
          y += 4;
        }
      }
    }
  }
}
