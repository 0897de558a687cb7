/** Max-pool of channels-last images, any window. On ties the gradient goes to the first maximum in row-major order. */

/** The address of the window's largest element; 0 when the window has none inside the image. */
function winner(
  image: usize,
  height: i32,
  width: i32,
  pixelBytes: i32,
  top: i32,
  left: i32,
  windowHeight: i32,
  windowWidth: i32,
): usize {
  let best: usize = 0;
  let value: f32 = 0;
  for (let row = max(0, top); row < min(height, top + windowHeight); row++) {
    for (let column = max(0, left); column < min(width, left + windowWidth); column++) {
      const at = image + (row * width + column) * pixelBytes;
      const x = f32.load(at);
      // x != x: the first NaN wins, as in PyTorch.
      if (best == 0 || x > value || (x != x && value == value)) {
        best = at;
        value = x;
      }
    }
  }
  return best;
}

/**
 * With `dx` 0 writes the pooled images to `y`; else adds what is at `y`, the gradient by them, to the winners' places in `dx`,
 * which starts at zero.
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
          const at = winner(
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
