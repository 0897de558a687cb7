/**
 * Convolutions of channels-last images as matrix products: an output pixel's row of the left factor is the patch that it
 * sees, read where it lies. Images are padded one at a time into a scratch that stays in cache.
 */

import { addOuterProducts, blockRows, packPanels, rowsTimesPanels } from './matrix';

/**
 * Copies one image into a frame of [frameHeight, frameWidth], zeros around it: its first pixel at (top, left), its pixels spreadY
 * and spreadX apart. What falls outside is left out.
 */
function frameImage(
  x: usize,
  height: i32,
  width: i32,
  channels: i32,
  spreadY: i32,
  spreadX: i32,
  top: i32,
  left: i32,
  frame: usize,
  frameHeight: i32,
  frameWidth: i32,
): void {
  const pixelBytes = channels * 4;
  memory.fill(frame, 0, frameHeight * frameWidth * pixelBytes);
  const columns = min(width, (frameWidth - left + spreadX - 1) / spreadX);
  for (let row = 0; row < height; row++) {
    const y = top + row * spreadY;
    if (y >= frameHeight) return;
    let from = x + row * width * pixelBytes;
    let to = frame + (y * frameWidth + left) * pixelBytes;
    if (spreadX == 1) {
      memory.copy(to, from, columns * pixelBytes);
      continue;
    }
    for (let column = 0; column < columns; column++) {
      memory.copy(to, from, pixelBytes);
      from += pixelBytes;
      to += spreadX * pixelBytes;
    }
  }
}

/** Addresses of the patches of output pixels [start, start + count) of one image. */
function patchAddresses(
  table: usize,
  image: usize,
  start: i32,
  count: i32,
  outWidth: i32,
  rowBytes: i32,
  pixelBytes: i32,
): void {
  let row = start / outWidth;
  let column = start % outWidth;
  for (let i = 0; i < count; i++) {
    i32.store(table + i * 4, <i32>image + row * rowBytes + column * pixelBytes);
    if (++column == outWidth) {
      column = 0;
      row++;
    }
  }
}

/**
 * y[images, outHeight, outWidth, outChannels]; the filter in panels of [kernelHeight * kernelWidth * channels, outChannels]. With
 * `frame` 0 images are read as they are, and patches must lie inside; else it has room for one framed image.
 */
export function convolve(
  x: usize,
  images: i32,
  height: i32,
  width: i32,
  channels: i32,
  spreadY: i32,
  spreadX: i32,
  top: i32,
  left: i32,
  frame: usize,
  frameHeight: i32,
  frameWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  dilationY: i32,
  dilationX: i32,
  panels: usize,
  outHeight: i32,
  outWidth: i32,
  outChannels: i32,
  table: usize,
  y: usize,
): void {
  const pixels = outHeight * outWidth;
  const lineBytes = (frame != 0 ? frameWidth : width) * channels * 4;
  // Neighbouring taps of a row are one stretch of memory.
  const dense = dilationX == 1;
  const taps = dense ? 1 : kernelWidth;
  const length = dense ? kernelWidth * channels : channels;
  for (let image = 0; image < images; image++) {
    let from = x + image * height * width * channels * 4;
    if (frame != 0) {
      frameImage(from, height, width, channels, spreadY, spreadX, top, left, frame, frameHeight, frameWidth);
      from = frame;
    }
    for (let start = 0; start < pixels; start += blockRows) {
      const count = min(blockRows, pixels - start);
      patchAddresses(table, from, start, count, outWidth, strideY * lineBytes, strideX * channels * 4);
      const to = y + (image * pixels + start) * outChannels * 4;
      rowsTimesPanels(
        table,
        count,
        kernelHeight,
        dilationY * lineBytes,
        taps,
        dilationX * channels * 4,
        length,
        panels,
        outChannels,
        to,
      );
    }
  }
}

/**
 * The gradient by the filter, [kernelHeight, kernelWidth, channels, outChannels] at `to`, from x and dy. `panels` has room for one
 * image of dy; `frame` as in `convolve`, with twelve bytes more.
 */
export function filterGradient(
  x: usize,
  images: i32,
  height: i32,
  width: i32,
  channels: i32,
  top: i32,
  left: i32,
  frame: usize,
  frameHeight: i32,
  frameWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideY: i32,
  strideX: i32,
  dilationY: i32,
  dilationX: i32,
  dy: usize,
  outHeight: i32,
  outWidth: i32,
  outChannels: i32,
  panels: usize,
  table: usize,
  to: usize,
): void {
  const pixels = outHeight * outWidth;
  const lineBytes = (frame != 0 ? frameWidth : width) * channels * 4;
  const dense = dilationX == 1;
  const taps = dense ? 1 : kernelWidth;
  const length = dense ? kernelWidth * channels : channels;
  memory.fill(to, 0, kernelHeight * kernelWidth * channels * outChannels * 4);
  for (let image = 0; image < images; image++) {
    let from = x + image * height * width * channels * 4;
    if (frame != 0) {
      frameImage(from, height, width, channels, 1, 1, top, left, frame, frameHeight, frameWidth);
      from = frame;
    }
    const gradient = dy + image * pixels * outChannels * 4;
    packPanels(gradient, pixels, outChannels, outChannels * 4, 4, panels, pixels * 32);
    for (let start = 0; start < pixels; start += blockRows) {
      const count = min(blockRows, pixels - start);
      patchAddresses(table, from, start, count, outWidth, strideY * lineBytes, strideX * channels * 4);
      addOuterProducts(
        table,
        count,
        kernelHeight,
        dilationY * lineBytes,
        taps,
        dilationX * channels * 4,
        length,
        panels + start * 32,
        pixels * 32,
        outChannels,
        to,
      );
    }
  }
}

/** Panels of the filter turned around in height and width, with its channels exchanged: what the gradient by x convolves with. */
export function packTurnedFilter(filter: usize, taps: i32, channels: i32, outChannels: i32, to: usize): void {
  const panelBytes = taps * outChannels * 32;
  for (let tap = 0; tap < taps; tap++) {
    const from = filter + (taps - 1 - tap) * channels * outChannels * 4;
    packPanels(from, outChannels, channels, 4, outChannels * 4, to + tap * outChannels * 32, panelBytes);
  }
}
