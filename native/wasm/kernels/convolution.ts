/**
 * Convolutions of channels-last images as matrix products: the row of the left factor that belongs to an output pixel
 * is the pixel's receptive field (patch), which is read in place. If patches reach beyond the image, each image is
 * first copied into a zero-padded frame, which is small enough to stay in the cache.
 */

import { addOuterProducts } from './outer-products';
import { blockRows, packPanels } from './panels';
import { rowsTimesPanels } from './rows-times-panels';

/**
 * Copies one image into a frame of [frameHeight, frameWidth] pixels that is zero elsewhere: the first pixel at (top,
 * left), pixels spreadY and spreadX apart. Pixels outside the frame are dropped.
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

/** Writes the addresses of the patches of output pixels [start, start + count) of one image to `table`. */
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
 * y[images, outHeight, outWidth, outChannels] = the convolution of x[images, height, width, channels] with a filter in
 * panels of [kernelHeight * kernelWidth * channels, outChannels]. `frame` is scratch memory for one framed image; if it
 * is 0, images are read in place, and all patches must lie inside them. `table` is scratch memory for blockRows + 3
 * addresses.
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
  // Without dilation, the taps of a row of the filter are contiguous in memory.
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
 * The gradient of the filter, [kernelHeight, kernelWidth, channels, outChannels] at `to`, from x[images, height, width,
 * channels] and dy[images, outHeight, outWidth, outChannels]. `panels` is scratch memory for one image of dy in panels;
 * `frame` is as in `convolve`, followed by twelve readable bytes.
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

/**
 * Packs a filter [taps, channels, outChannels], rotated by 180 degrees and with its channels exchanged, into panels at
 * `to`: the gradient of x is the convolution of dy with it.
 */
export function packRotatedFilter(
  filter: usize,
  taps: i32,
  channels: i32,
  outChannels: i32,
  to: usize,
): void {
  const panelBytes = taps * outChannels * 32;
  for (let tap = 0; tap < taps; tap++) {
    const from = filter + (taps - 1 - tap) * channels * outChannels * 4;
    packPanels(from, outChannels, channels, 4, outChannels * 4, to + tap * outChannels * 32, panelBytes);
  }
}
