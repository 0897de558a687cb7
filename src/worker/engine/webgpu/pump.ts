/**
 * Waits for a buffer of the GPU without a turn of the event loop. Dawn's binding processes its events in a native function that it
 * gives to `setImmediate`; this module keeps that function and calls it. This is an undocumented property of the pinned version of
 * Dawn, so loading the engine checks that it works.
 */

import { DeviceLostError } from '../../../shared/errors.js';
import type { GpuBuffer } from './gpu-types.js';

/** Dawn's functions that have not run yet, in order. */
const waiting: (() => void)[] = [];
let isInstalled = false;

/**
 * Functions of native addons have a property `prototype`. The functions that resolve a promise, which are native as well, and bound
 * functions do not have it.
 */
function isNative(callback: unknown): callback is () => void {
  return (
    typeof callback === 'function' &&
    callback.length === 0 &&
    Object.hasOwn(callback, 'prototype') &&
    Function.prototype.toString.call(callback).includes('[native code]')
  );
}

/** Replaces the global `setImmediate` by one that keeps Dawn's functions. Must be called before Dawn is loaded. */
export function installPump(): void {
  if (isInstalled) return;
  isInstalled = true;
  const original = globalThis.setImmediate;
  const replacement = (callback: (...given: unknown[]) => void, ...given: unknown[]): NodeJS.Immediate => {
    if (given.length > 0 || !isNative(callback)) return original(callback, ...given);
    waiting.push(callback);
    return original(() => runOnce(callback));
  };
  globalThis.setImmediate = Object.assign(replacement, {
    __promisify__: original.__promisify__,
  }) as typeof setImmediate;
}

/** Runs one of Dawn's functions unless it has run already: in a turn of the event loop or before it, but not in both. */
function runOnce(callback: () => void): void {
  const at = waiting.indexOf(callback);
  if (at < 0) return;
  waiting.splice(at, 1);
  callback();
}

const pause = new Int32Array(new SharedArrayBuffer(4));
/** The first calls do not sleep, because a fast GPU answers within them. */
const callsWithoutPause = 50;
const pauseMs = 0.05;

/**
 * Returns when `buffer`, whose `mapAsync` was called, can be read.
 * @throws DeviceLostError if the device is lost or does not answer within `limitMs`
 */
export function waitUntilMapped(buffer: GpuBuffer, limitMs = 600_000): void {
  const start = performance.now();
  for (let calls = 0; buffer.mapState !== 'mapped'; calls++) {
    if (buffer.mapState === 'unmapped')
      throw new DeviceLostError(
        "Reading from the GPU: expected a buffer's values, got none, because the device was lost. " +
          "Check the system's log for errors of the GPU's driver, and start the worker again.",
      );
    const [next] = waiting;
    if (next === undefined || performance.now() - start > limitMs)
      throw new DeviceLostError(
        `Reading from the GPU: expected an answer of the device, got none${next ? ` in ${limitMs / 1000} s` : ''}. ` +
          'Start the worker again, or choose another engine with --engine.',
      );
    runOnce(next);
    if (calls > callsWithoutPause) Atomics.wait(pause, 0, 0, pauseMs);
  }
}
